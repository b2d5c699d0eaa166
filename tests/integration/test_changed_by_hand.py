"""A month whose rows somebody has changed by hand: it is seen, loaded again, and said."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway import errors
from taxiway.download.download import Download
from taxiway.loads.load import Counts
from taxiway.loads.month import Downloaded
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect
from tests.loading import (
    begin_load,
    by_hand,
    check_month,
    hash_rows,
    load,
    merge_month,
    query,
    source_file,
    stage_month,
    write_gzip,
)

MONTH = Month(2019, 1)
PARTITION = "public.green_tripdata_2019_01"
SOME = f"unique_row_id IN (SELECT unique_row_id FROM {PARTITION} ORDER BY 1 LIMIT 3)"

CHANGES: dict[str, tuple[str, str, Counts]] = {
    "all rows deleted": (f"DELETE FROM {PARTITION}", r"holds 0 rows, the ledger has 60", Counts(60, 0, 0)),
    "truncated": ("TRUNCATE public.green_tripdata", r"holds 0 rows, the ledger has 60", Counts(60, 0, 0)),
    "some rows deleted": (
        f"DELETE FROM public.green_tripdata WHERE {SOME}",
        r"holds 57 rows, the ledger has 60",
        Counts(3, 0, 57),
    ),
    "rows added": (
        f"INSERT INTO {PARTITION} (unique_row_id, filename, source_month) "
        "VALUES (gen_random_uuid(), '{filename}', '2019-01-01')",
        r"holds 61 rows, the ledger has 60",
        Counts(0, 1, 60),
    ),
    "values changed": (
        f"UPDATE public.green_tripdata SET fare_amount = -1 WHERE {SOME}",
        r"was changed since the ledger's load published its 60 rows",
        Counts(3, 3, 57),
    ),
    "values removed": (
        "UPDATE public.green_tripdata SET total_amount = NULL",
        r"was changed since",
        Counts(60, 60, 0),
    ),
    "ids changed": (
        f"UPDATE {PARTITION} SET unique_row_id = gen_random_uuid() WHERE {SOME}",
        r"was changed since",
        Counts(3, 3, 57),
    ),
    "a column dropped and added again": (
        "ALTER TABLE public.green_tripdata DROP COLUMN total_amount, ADD COLUMN total_amount numeric",
        r"was changed since",
        Counts(60, 60, 0),
    ),
    "rows written again as they were": (
        f"UPDATE {PARTITION} SET fare_amount = fare_amount",
        r"was changed since",
        Counts(0, 0, 60),
    ),
    "partition dropped": (
        f"DROP TABLE {PARTITION}",
        r"has no partition of {filename}, the ledger has 60 rows",
        Counts(60, 0, 0),
    ),
    "main table dropped": (
        "DROP TABLE public.green_tripdata",
        r"has no partition of {filename}, the ledger has 60 rows",
        Counts(60, 0, 0),
    ),
    "another table in the partition's place": (
        f"CREATE TABLE public.mine AS SELECT * FROM {PARTITION}; UPDATE public.mine SET fare_amount = 1; "
        f"ALTER TABLE public.mine ALTER unique_row_id SET NOT NULL, ALTER filename SET NOT NULL, "
        "ALTER source_month SET NOT NULL; "
        f"DROP TABLE {PARTITION}; "
        f"ALTER TABLE public.green_tripdata ATTACH PARTITION public.mine FOR VALUES IN ('2019-01-01')",
        r"public\.mine was changed since",
        Counts(60, 60, 0),
    ),
}
"""What somebody does; how it is said; and what loading the month again changes. Names in braces are filled in."""

HARMLESS = {
    "frozen": f"VACUUM (FREEZE) {PARTITION}",
    "rewritten by VACUUM FULL": f"VACUUM (FULL) {PARTITION}",
    "clustered": f"CLUSTER {PARTITION} USING green_tripdata_2019_01_unique_row_id",
    "analyzed": f"ANALYZE {PARTITION}",
    "indexed": "CREATE INDEX ON public.green_tripdata (lpep_pickup_datetime)",
    "rows locked": f"SELECT 1 FROM {PARTITION} FOR UPDATE",
    "a change rolled back": f"BEGIN; DELETE FROM {PARTITION}; ROLLBACK",
    "renamed": f"ALTER TABLE {PARTITION} RENAME TO january",
    "detached and attached": f"ALTER TABLE public.green_tripdata DETACH PARTITION {PARTITION}; "
    f"ALTER TABLE public.green_tripdata ATTACH PARTITION {PARTITION} FOR VALUES IN ('2019-01-01')",
}


@pytest.fixture
def file(tmp_path: Path, green: Source) -> Download:
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=60)
    return source_file(path)


def tables(green: Source, run_id: str) -> LoadTables:
    return LoadTables(green, MONTH, run_id)


def fetched(connection: psycopg.Connection[Any], green: Source, file: Download, run_id: str) -> Downloaded:
    return begin_load(connection, tables(green, run_id), lambda: file)


def contents(connection: psycopg.Connection[Any], green: Source) -> list[Any]:
    columns = ", ".join(column.name for column in green.columns)
    return query(connection, f"SELECT unique_row_id, filename, {columns} FROM public.green_tripdata ORDER BY 1")


@pytest.mark.parametrize("name", CHANGES)
def test_what_somebody_has_changed_is_loaded_again_and_said(
    name: str, connect: Connect, green: Source, file: Download, caplog: pytest.LogCaptureFixture
) -> None:
    change, said, counts = CHANGES[name]
    said = said.replace("{filename}", green.filename(MONTH))
    connection = connect()
    load(connection, green, str(MONTH), Path(file.path), "manual__1")
    before = contents(connection, green)
    by_hand(connection, change.replace("{filename}", green.filename(MONTH)))

    with caplog.at_level(logging.WARNING, logger="taxiway"):
        assert fetched(connection, green, file, "manual__2").nothing_to_do is None

    assert re.search(f"green 2019-01: .*{said}.*: the month is loaded again", "; ".join(caplog.messages))
    assert load(connection, green, str(MONTH), Path(file.path), "manual__2") == counts
    assert contents(connection, green) == before
    ((state, warnings),) = query(
        connection, "SELECT state, warnings FROM taxiway.loads WHERE run_id = 'manual__2' ORDER BY load_id DESC LIMIT 1"
    )
    assert state == "published"
    assert len(warnings) == 1
    assert re.search(said, warnings[0])
    # And now it is as the ledger says.
    assert fetched(connection, green, file, "manual__3").nothing_to_do is not None


@pytest.mark.parametrize("name", HARMLESS)
def test_what_leaves_the_rows_alone_is_no_reason_to_load_again(
    name: str, connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()
    load(connection, green, str(MONTH), Path(file.path), "manual__1")
    by_hand(connection, HARMLESS[name].replace("{filename}", green.filename(MONTH)))

    assert fetched(connection, green, file, "manual__2").nothing_to_do is not None
    assert query(connection, "SELECT state, warnings FROM taxiway.loads ORDER BY load_id") == [
        ("published", []),
        ("unchanged", []),
    ]


def test_changed_values_of_duplicate_rows_are_restored(connect: Connect, green: Source, tmp_path: Path) -> None:
    row = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
    path = write_gzip(
        tmp_path / green.download_name(MONTH), [",".join(column.header for column in green.columns), *[row] * 4]
    )
    connection = connect()
    load(connection, green, str(MONTH), path, "manual__1")
    before = contents(connection, green)
    by_hand(connection, f"UPDATE {PARTITION} SET fare_amount = 1 WHERE {SOME}")

    assert load(connection, green, str(MONTH), path, "manual__2") == Counts(3, 3, 1)

    assert contents(connection, green) == before


REFERRING = (
    "ALTER TABLE public.green_tripdata ADD PRIMARY KEY (unique_row_id, source_month); "
    "CREATE TABLE public.notes (id uuid, month date, "
    "FOREIGN KEY (id, month) REFERENCES public.green_tripdata ON DELETE {}); "
    "INSERT INTO public.notes SELECT unique_row_id, source_month FROM public.green_tripdata"
)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT"])
def test_what_refers_to_a_restored_row_stays(action: str, connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    load(connection, green, str(MONTH), Path(file.path), "manual__1")
    before = contents(connection, green)
    by_hand(connection, REFERRING.format(action))
    notes = query(connection, "SELECT * FROM public.notes ORDER BY 1")
    by_hand(connection, f"UPDATE {PARTITION} SET fare_amount = -1 WHERE {SOME}")

    assert load(connection, green, str(MONTH), Path(file.path), "manual__2") == Counts(3, 3, 57)

    assert contents(connection, green) == before
    assert query(connection, "SELECT * FROM public.notes ORDER BY 1") == notes


def test_rows_that_a_trigger_keeps_from_being_restored_are_no_publication(
    connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()
    load(connection, green, str(MONTH), Path(file.path), "manual__1")
    by_hand(connection, f"UPDATE {PARTITION} SET fare_amount = -1 WHERE {SOME}")
    with connection.transaction():
        connection.execute(
            "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
            "CREATE TRIGGER keep BEFORE UPDATE ON public.green_tripdata FOR EACH ROW EXECUTE FUNCTION public.keep()"
        )

    with pytest.raises(errors.BalanceError, match=r"0 rows of .* would get the values of the file, expected the 3"):
        load(connection, green, str(MONTH), Path(file.path), "manual__2")

    by_hand(connection, "DROP TRIGGER keep ON public.green_tripdata")
    assert load(connection, green, str(MONTH), Path(file.path), "manual__3") == Counts(3, 3, 57)


def test_a_corrected_file_restores_what_it_did_not_correct(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    first, second = tmp_path / "1" / green.download_name(MONTH), tmp_path / "2" / green.download_name(MONTH)
    write_sample_month(green, MONTH, first, rows=60)
    write_sample_month(green, MONTH, second, rows=60, revision=1)
    load(connection, green, str(MONTH), first, "manual__1")
    by_hand(connection, "UPDATE public.green_tripdata SET fare_amount = -1")

    load(connection, green, str(MONTH), second, "manual__2")

    assert query(connection, "SELECT count(*) FROM public.green_tripdata WHERE fare_amount = -1") == [(0,)]


def test_a_run_that_has_published_a_month_says_what_became_of_it(
    connect: Connect, green: Source, file: Download
) -> None:
    """Somebody clears merge_month of a run that is over, after the month was emptied; then what the error says."""
    connection = connect()
    run = tables(green, "manual__1")
    hash_rows(connection, run, stage_month(connection, run, file))
    check_month(connection, run)
    merge_month(connection, run)
    drop_staging(connection, run)
    by_hand(connection, "TRUNCATE public.green_tripdata")

    with pytest.raises(
        errors.BalanceError, match=r"already, and .* holds 0 rows, the ledger has 60\. .* clear the task download_month"
    ):
        merge_month(connection, run)

    assert fetched(connection, green, file, run.run_id).nothing_to_do is None
    assert load(connection, green, str(MONTH), Path(file.path), run.run_id) == Counts(60, 0, 0)


def test_the_digest_is_the_last_publications_whichever_run_fetched_the_file(
    connect: Connect, green: Source, file: Download
) -> None:
    """Two runs load the same file; the first one is run again from stage_month after a change by hand."""
    connection = connect()
    load(connection, green, str(MONTH), Path(file.path), "manual__1")
    load(connection, green, str(MONTH), Path(file.path), "manual__2")
    by_hand(connection, f"UPDATE {PARTITION} SET fare_amount = -1 WHERE {SOME}")
    assert load(connection, green, str(MONTH), Path(file.path), "manual__1") == Counts(3, 3, 57)

    # Its worker is killed behind the commit, and the task tried again.
    assert merge_month(connection, tables(green, "manual__1")) == Counts(3, 3, 57)
    assert fetched(connection, green, file, "manual__3").nothing_to_do is not None


def test_the_digest_is_the_last_publications_whichever_attempt_began_first(
    connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()
    early, late = tables(green, "manual__1"), tables(green, "manual__2")
    for run in (early, late):
        hash_rows(connection, run, stage_month(connection, run, file))
        check_month(connection, run)
    merge_month(connection, late)
    by_hand(connection, f"UPDATE {PARTITION} SET fare_amount = -1 WHERE {SOME}")
    assert merge_month(connection, early) == Counts(3, 3, 57)

    assert merge_month(connection, early) == Counts(3, 3, 57)
    assert fetched(connection, green, file, "manual__3").nothing_to_do is not None


@pytest.mark.parametrize("change", ["SELECT 1", f"UPDATE {PARTITION} SET fare_amount = -1 WHERE {SOME}"])
def test_a_run_that_an_earlier_version_has_published_can_merge_again(
    change: str, connect: Connect, green: Source, file: Download
) -> None:
    """Somebody clears merge_month of a run from before an upgrade: its counts suffice; another load compares values."""
    connection = connect()
    run = tables(green, "manual__1")
    load(connection, green, str(MONTH), Path(file.path), run.run_id)
    before = contents(connection, green)
    by_hand(connection, "DROP VIEW taxiway.months")
    by_hand(connection, f"ALTER TABLE taxiway.loads DROP COLUMN partition_digest, DROP COLUMN yaml_sha256; {change}")

    assert merge_month(connection, run) == Counts(60, 0, 0)

    assert fetched(connection, green, file, run.run_id).nothing_to_do is None
    load(connection, green, str(MONTH), Path(file.path), run.run_id)
    assert contents(connection, green) == before
    assert merge_month(connection, run).inserted in (0, 3)
    assert fetched(connection, green, file, "manual__2").nothing_to_do is not None
    by_hand(connection, f"UPDATE taxiway.loads SET partition_digest = NULL; DELETE FROM {PARTITION} WHERE {SOME}")
    with pytest.raises(errors.BalanceError, match="holds 57 rows, the ledger has 60"):
        merge_month(connection, run)


IN_THE_WAY = {
    "a publication": f"CREATE PUBLICATION taxi FOR ALL TABLES; ALTER TABLE {PARTITION} REPLICA IDENTITY NOTHING",
    "a publication of updates": "CREATE PUBLICATION taxi FOR TABLE public.green_tripdata WITH (publish = 'update'); "
    f"ALTER TABLE {PARTITION} REPLICA IDENTITY NOTHING",
    "a trigger": "CREATE TRIGGER note BEFORE INSERT ON public.green_tripdata "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "a rule": "CREATE RULE note AS ON INSERT TO public.green_tripdata DO ALSO NOTIFY mine",
}
"""What a month can't be changed with."""


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_is_in_the_way_matters_only_if_a_published_month_has_to_change(
    name: str, connect: Connect, green: Source, file: Download, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, str(MONTH), Path(file.path), "manual__1")
    by_hand(connection, IN_THE_WAY[name])

    assert fetched(connection, green, file, "manual__2").nothing_to_do is not None
    # An earlier version has noted no digest: the month is loaded again, and nothing has to change.
    by_hand(connection, "UPDATE taxiway.loads SET partition_digest = NULL")
    assert fetched(connection, green, file, "manual__3").nothing_to_do is None
    assert load(connection, green, str(MONTH), Path(file.path), "manual__3") == Counts(0, 0, 60)
    assert fetched(connection, green, file, "manual__4").nothing_to_do is not None
    # A value was changed, which nothing tells before the rows are compared.
    by_hand(connection, f"ALTER TABLE {PARTITION} REPLICA IDENTITY FULL")
    by_hand(connection, f"UPDATE {PARTITION} SET fare_amount = -1 WHERE {SOME}")
    by_hand(connection, "UPDATE taxiway.loads SET partition_digest = NULL")
    by_hand(connection, f"ALTER TABLE {PARTITION} REPLICA IDENTITY NOTHING")
    assert fetched(connection, green, file, "manual__5").nothing_to_do is None
    with pytest.raises(errors.MainTableError, match="can't take the month: found the "):
        load(connection, green, str(MONTH), Path(file.path), "manual__5")
    # A corrected file is refused before it is staged, and a load by force before anything is downloaded.
    corrected = tmp_path / "corrected" / green.download_name(MONTH)
    write_sample_month(green, MONTH, corrected, rows=60, revision=1)
    with pytest.raises(errors.MainTableError, match="can't take the month: found the "):
        fetched(connection, green, source_file(corrected), "manual__6")
    with pytest.raises(errors.MainTableError, match="can't take the month: found the "):
        begin_load(connection, tables(green, "manual__7"), lambda: pytest.fail("downloaded"), force=True)


def test_a_month_that_the_ledger_does_not_know_is_compared_value_by_value(
    connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()
    load(connection, green, str(MONTH), Path(file.path), "manual__1")
    before = contents(connection, green)
    by_hand(connection, "TRUNCATE taxiway.loads CASCADE; UPDATE public.green_tripdata SET fare_amount = 1")

    load(connection, green, str(MONTH), Path(file.path), "manual__2")

    assert contents(connection, green) == before
    ((warnings,),) = query(connection, "SELECT warnings FROM taxiway.loads")
    assert warnings == [f"before this load, {PARTITION} holds 60 rows that the ledger knows nothing of"]
