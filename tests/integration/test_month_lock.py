"""The lock of a month: who has to wait is told who holds it."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import psycopg
import pytest

from taxiway.errors import MainTableError, TransientWarehouseError
from taxiway.loads.month import Downloaded
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres import publish, session
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway.warehouses.postgres.session import lock, table_users, transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect
from tests.integration.airflow_environment import wait_until
from tests.loading import begin_load, by_hand, ids, load, query, source_file, staging_tables

MONTH = Month(2019, 3)
HOLDER = "taxiway green 2019-03 backfill__2019-03-01"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def path(green: Source, tmp_path: Path) -> Path:
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=200)
    return path


def test_a_wait_that_ends_names_the_holder(
    connect: Connect, green: Source, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "100ms")
    holder, other = connect(), connect()
    with transaction(holder) as cursor:
        lock(cursor, "month", "green", "2019-03", holder=HOLDER)

        with pytest.raises(
            TransientWarehouseError,
            match=rf"taxiway green 2019-03 manual__2: waited 100ms for the lock taxiway/month/green/2019-03, which is "
            rf"held by {HOLDER} \(role postgres, server process {holder.info.backend_pid}\) since 20.*, which has "
            rf"heard nothing from its worker for all that time\. .*ends one that hangs$",
        ):
            load(other, green, "2019-03", path, run_id="manual__2")

    [(state, error)] = query(other, "SELECT state, error FROM taxiway.loads")
    assert state == "failed"
    assert HOLDER in error
    assert ids(other, green) == []
    assert staging_tables(other) == []


KEEPERS = {
    "a table that a foreign key refers to": (
        "CREATE TABLE public.vendors AS SELECT generate_series(1, 9) AS id; "
        "ALTER TABLE public.vendors ADD PRIMARY KEY (id); "
        "ALTER TABLE public.green_tripdata ADD FOREIGN KEY (vendorid) REFERENCES public.vendors",
        "UPDATE public.vendors SET id = id WHERE id = 9",
    ),
    "a table whose foreign key refers to ours": (
        "ALTER TABLE public.green_tripdata ADD PRIMARY KEY (unique_row_id, source_month); "
        "CREATE TABLE public.notes (id uuid, month date, "
        "FOREIGN KEY (id, month) REFERENCES public.green_tripdata)",
        "LOCK TABLE public.notes IN ACCESS EXCLUSIVE MODE",
    ),
    "the default partition": (
        "CREATE TABLE public.rest PARTITION OF public.green_tripdata DEFAULT",
        "SELECT count(*) FROM public.rest",
    ),
    "another month's partition": ("SELECT 1", "LOCK TABLE public.green_tripdata_2019_01"),
}
"""What somebody has made, and what a session then does that keeps a new month from being attached."""


@pytest.mark.parametrize("name", KEEPERS)
def test_who_keeps_a_table_that_belongs_to_ours_is_named(
    name: str, connect: Connect, green: Source, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kept = KEEPERS[name]
    january = path.parent / green.download_name(Month(2019, 1))
    write_sample_month(green, Month(2019, 1), january, rows=5)
    holder, other = connect(), connect()
    load(other, green, "2019-01", january, run_id="manual__1")
    with other.transaction():
        other.execute(made)  # type: ignore[arg-type]
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "100ms")
    with holder.transaction():
        holder.execute(kept)  # type: ignore[arg-type]

        with pytest.raises(
            TransientWarehouseError, match=rf"server process {holder.info.backend_pid}\) since 20.*ends one that hangs$"
        ):
            load(other, green, "2019-03", path, run_id="manual__2")

    monkeypatch.undo()
    assert load(other, green, "2019-03", path, run_id="manual__2").inserted == 200


HARMLESS = [
    "SELECT count(*) FROM public.vendors",
    "SELECT count(*) FROM taxiway.loads",
    "SELECT count(*) FROM public.green_tripdata_2019_03",
    "UPDATE public.green_tripdata_2019_01 SET extra = 1",
]
"""What sessions do that keep no month from being published."""

KEPT = {
    "a published month": ("2019-03", "UPDATE public.green_tripdata_2019_03 SET extra = 1"),
    "a new month": ("2019-04", "UPDATE public.vendors SET id = id WHERE id = 9"),
}
"""A month, and what a session does that keeps it from being published."""


@pytest.mark.parametrize("name", KEPT)
def test_sessions_that_keep_nobody_are_not_named(
    name: str, connect: Connect, green: Source, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They began earlier than the session that keeps the month."""
    month, keeping = KEPT[name]
    loader, keeper = connect(), connect()
    for number, earlier in enumerate(("2019-01", "2019-03")):
        write_sample_month(green, Month.parse(earlier), path, rows=6)
        load(loader, green, earlier, path, run_id=f"manual__{number}")
    by_hand(loader, KEEPERS["a table that a foreign key refers to"][0])
    by_hand(loader, "CREATE TABLE public.rest PARTITION OF public.green_tripdata DEFAULT")
    write_sample_month(green, Month.parse(month), path, rows=6, revision=1)
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "100ms")
    for statement in HARMLESS:
        connect().execute(statement)  # type: ignore[arg-type]
    keeper.execute(keeping)  # type: ignore[arg-type]

    with pytest.raises(TransientWarehouseError) as caught:
        load(loader, green, month, path, run_id="manual__3")

    assert re.findall(r"server process (\d+)", str(caught.value)) == [str(keeper.info.backend_pid)]


def test_that_nobody_was_found_is_not_that_somebody_has_ended(connect: Connect) -> None:
    with transaction(connect()) as cursor:
        assert table_users(
            cursor, dict.fromkeys(("public.absent", "pg_catalog.pg_class"), "AccessShareLock")
        ).startswith("none was found (look while")


def test_another_month_does_not_wait(connect: Connect, green: Source, path: Path) -> None:
    holder, other = connect(), connect()
    with transaction(holder) as cursor:
        lock(cursor, "month", "green", "2019-04", holder=HOLDER)

        assert load(other, green, "2019-03", path).inserted == 200


def test_two_runs_of_a_month_at_the_same_moment_load_it_once(connect: Connect, green: Source, path: Path) -> None:
    """Both wait at the lock with their rows ready, and go on together."""
    gate, connections = connect(), [connect(), connect()]
    counts = {}

    def run(number: int, connection: psycopg.Connection[object]) -> None:
        counts[number] = load(connection, green, "2019-03", path, run_id=f"run__{number}")

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(connections)]
    with transaction(gate) as cursor:
        lock(cursor, "month", "green", "2019-03", holder=HOLDER)
        for thread in threads:
            thread.start()
        watcher = connect()
        wait_until(lambda: query(watcher, WAITING) == [(2,)], timeout=30, what="both runs to wait for the month")
    for thread in threads:
        thread.join()

    assert sorted((c.inserted, c.deleted, c.unchanged) for c in counts.values()) == [(0, 0, 200), (200, 0, 0)]
    assert len(set(ids(gate, green))) == len(ids(gate, green)) == 200
    assert query(gate, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    assert staging_tables(gate) == []


GATE = 42
"""The lock that a trigger waits for, as long as it takes."""


@pytest.mark.parametrize("longest", ["1min", "200ms"])
def test_months_with_a_slow_trigger_are_attached_one_after_another(
    longest: str, connect: Connect, green: Source, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = {"2019-04": path.parent / green.download_name(Month(2019, 4)), "2019-05": path.parent / "5.csv.gz"}
    for month, each in months.items():
        write_sample_month(green, Month.parse(month), each, rows=20)
    gate, watcher = connect(), connect()
    load(gate, green, "2019-03", path)
    with gate.transaction():
        gate.execute(
            "CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS "  # type: ignore[arg-type]
            f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$; "
            "CREATE TRIGGER wait BEFORE INSERT ON public.green_tripdata FOR EACH ROW EXECUTE FUNCTION public.wait()"
        )
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "200ms")
    monkeypatch.setattr(publish, "LONGEST_TURN", longest)
    ended: dict[str, object] = {}

    def run(month: str) -> None:
        try:
            ended[month] = load(connect(), green, month, months[month], run_id=f"run__{month}").inserted
        except TransientWarehouseError as error:
            ended[month] = str(error)

    threads = {month: threading.Thread(target=run, args=(month,)) for month in months}
    with gate.transaction():
        gate.execute("SELECT pg_advisory_xact_lock(%s)", [GATE])
        threads["2019-04"].start()
        wait_until(lambda: query(watcher, WAITING) == [(1,)], timeout=30, what="the trigger to wait")
        threads["2019-05"].start()
        if longest == "1min":
            wait_until(lambda: query(watcher, WAITING) == [(2,)], timeout=30, what="the other month to wait")
        else:
            threads["2019-05"].join()
    for thread in threads.values():
        thread.join()

    if longest == "1min":
        assert ended == {"2019-04": 20, "2019-05": 20}
    else:
        assert ended["2019-04"] == 20
        assert "which is held by taxiway green 2019-04 run__2019-04 (role" in str(ended["2019-05"])
        assert "pg_terminate_backend" not in str(ended["2019-05"])
        assert str(ended["2019-05"]).endswith("--max-active-runs 1 loads one month after another")


NOTE = (
    "CREATE TABLE public.noted (what text); CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN INSERT INTO public.noted VALUES (TG_OP); RETURN NEW; END $$; "
    "CREATE TRIGGER note AFTER INSERT ON public.green_tripdata"
)
CAME_MEANWHILE = {
    "a trigger": (f"{NOTE} FOR EACH ROW EXECUTE FUNCTION public.note()", "SELECT count(*) = 200 FROM public.noted"),
    "a publication": (
        "CREATE PUBLICATION taxi FOR TABLE public.green_tripdata",
        # The rows are as old as the partition: they were inserted, so subscribers get them.
        "SELECT bool_and(rows.xmin = partition.xmin) FROM public.green_tripdata_2019_03 AS rows, pg_class AS partition "
        "WHERE partition.oid = rows.tableoid",
    ),
    "a trigger that would never fire": (f"{NOTE} EXECUTE FUNCTION public.note()", None),
}
"""What somebody makes while a month waits for its turn, and a query that is true if it has its effect."""


@pytest.mark.parametrize("name", CAME_MEANWHILE)
def test_what_is_defined_while_a_month_waits_for_its_turn_holds_for_it(
    name: str, connect: Connect, green: Source, path: Path
) -> None:
    made, holds = CAME_MEANWHILE[name]
    january = path.parent / green.download_name(Month(2019, 1))
    write_sample_month(green, Month(2019, 1), january, rows=5)
    gate, watcher, other = connect(), connect(), connect()
    load(gate, green, "2019-01", january)
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(load(other, green, "2019-03", path, run_id="manual__2").inserted)
        except MainTableError as error:
            ended.append(str(error))

    thread = threading.Thread(target=run)
    with transaction(gate) as cursor:
        lock(cursor, "attach", green.main_table, holder=HOLDER)
        thread.start()
        wait_until(lambda: query(watcher, WAITING) == [(1,)], timeout=30, what="the month to wait for its turn")
        by_hand(watcher, made)
    thread.join()

    if holds is None:
        assert "found the trigger note, which fires for each statement" in str(ended[0])
        assert query(watcher, "SELECT to_regclass('public.green_tripdata_2019_03')") == [(None,)]
    else:
        assert ended == [200]
        assert query(watcher, holds) == [(True,)]


def test_a_file_is_not_said_to_be_published_while_another_one_is_being_published(
    connect: Connect, green: Source, path: Path, tmp_path: Path
) -> None:
    """A run waits for the month, to replace it; behind it waits one that has fetched what is published as yet."""
    gate, publishing, fetching = connect(), connect(), connect()
    load(gate, green, "2019-03", path)
    corrected = tmp_path / "corrected" / path.name
    write_sample_month(green, MONTH, corrected, rows=200, revision=1)
    found: list[Downloaded] = []

    def publish() -> None:
        load(publishing, green, "2019-03", corrected, run_id="manual__2")

    def fetch() -> None:
        found.append(begin_load(fetching, LoadTables(green, MONTH, "manual__3"), lambda: source_file(path)))

    threads = [threading.Thread(target=publish), threading.Thread(target=fetch)]
    watcher = connect()
    with transaction(gate) as cursor:
        lock(cursor, "month", "green", "2019-03", holder=HOLDER)
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            wait_until(lambda: query(watcher, WAITING) == [(waiting,)], timeout=30, what="it to wait")  # noqa: B023
    for thread in threads:
        thread.join()

    assert query(gate, "SELECT sha256 FROM taxiway.months") == [(source_file(corrected).sha256,)]
    assert [fetched.nothing_to_do for fetched in found] == [None]
    assert query(gate, "SELECT state FROM taxiway.loads WHERE run_id = 'manual__3'") == [("running",)]


def test_a_comparison_does_not_wait_without_an_end(
    connect: Connect, green: Source, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, reader = connect(), connect()
    load(holder, green, "2019-03", path)
    months = PostgresMonths(reader)
    with months.reading(green, MONTH) as month:
        assert month.sums()["row_count"] == "200"
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "100ms")

    with holder.transaction():
        holder.execute("LOCK TABLE public.green_tripdata")

        said = "^green 2019-03: compare, connection taxi_postgres: Postgres says: .* due to lock timeout"
        with pytest.raises(TransientWarehouseError, match=said), months.reading(green, MONTH) as month:
            month.sums()
