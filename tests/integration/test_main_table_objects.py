"""What people make of their main table: it holds for new months, or is named before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway import errors
from taxiway.loads.load import Counts
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.tables import LoadTables
from tests.conftest import Connect, PostgresServer
from tests.loading import begin_load, by_hand, lines_of, load, query, source_file, staging_tables, write_gzip

MAIN = "public.green_tripdata"
JANUARY, FEBRUARY = f"{MAIN}_2019_01", f"{MAIN}_2019_02"
ROW = "2,2019-{month:02d}-05 00:44:02,2019-{month:02d}-05 00:52:23,N,1,42,41,{n},1.68,8,0.5,0.5,0,0,,0.3,{total},1,1,0"
NOTED = (
    "CREATE TABLE public.noted (what text); "
    "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN INSERT INTO public.noted VALUES (TG_OP); RETURN NEW; END $$; "
)
# A function that names a table as psql's users do, by their search_path.
NOTED_BY_SHORT_NAME = NOTED.replace("INSERT INTO public.noted", "INSERT INTO noted")
SET_TOTAL = (
    "CREATE FUNCTION public.set_total() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN NEW.total_amount := 7; RETURN NEW; END $$; "
)


@pytest.fixture
def green(green: Source) -> Source:
    """Its months here have three rows, of which a correction may replace any."""
    return replace(green, max_deleted_share=1.0)


@dataclass(frozen=True)
class Object:
    """Something that somebody defines on the main table, after January is loaded.

    :param made: by these statements
    :param holds: a query that returns true if it holds for February, once that is loaded
    :param refused: a statement on February's rows that it refuses
    """

    made: str
    holds: str = "SELECT true"
    refused: str | None = None


HOLDS = {
    "a CHECK": Object(
        f"ALTER TABLE {MAIN} ADD CONSTRAINT sane CHECK (total_amount > -10000)",
        refused=f"UPDATE {FEBRUARY} SET total_amount = -20000",
    ),
    "a CHECK with a name and a text that need quotes": Object(
        f"ALTER TABLE {MAIN} ADD CONSTRAINT \"50% 'sane'\" CHECK (store_and_fwd_flag NOT LIKE '%s%%')",
        refused=f"UPDATE {FEBRUARY} SET store_and_fwd_flag = 'as'",
    ),
    "a CHECK by a function of one's own": Object(
        "CREATE FUNCTION public.sane(numeric) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 5000'; "
        f"ALTER TABLE {MAIN} ADD CHECK (public.sane(total_amount))",
        refused=f"UPDATE {FEBRUARY} SET total_amount = 5001",
    ),
    "a CHECK by a function that calls another by its short name": Object(
        "CREATE FUNCTION public.lim(numeric) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 5000'; "
        "CREATE FUNCTION public.sane(numeric) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT lim($1)'; "
        f"ALTER TABLE {MAIN} ADD CHECK (public.sane(total_amount))",
        refused=f"UPDATE {FEBRUARY} SET total_amount = 5001",
    ),
    "a CHECK that isn't valid for what was there": Object(
        f"ALTER TABLE {MAIN} ADD CONSTRAINT sane CHECK (passenger_count > 1) NOT VALID; "
        f"UPDATE {JANUARY} SET passenger_count = passenger_count + 1",
        refused=f"UPDATE {FEBRUARY} SET passenger_count = 0",
    ),
    "NOT NULL": Object(
        f"ALTER TABLE {MAIN} ALTER total_amount SET NOT NULL", refused=f"UPDATE {FEBRUARY} SET total_amount = NULL"
    ),
    "a primary key": Object(
        f"ALTER TABLE {MAIN} ADD PRIMARY KEY (unique_row_id, source_month)",
        f"SELECT true FROM pg_constraint WHERE conrelid = '{FEBRUARY}'::regclass AND contype = 'p'",
        refused=f"INSERT INTO {FEBRUARY} SELECT * FROM {FEBRUARY} LIMIT 1",
    ),
    "a unique index": Object(
        f"CREATE UNIQUE INDEX ON {MAIN} (source_month, passenger_count)",
        refused=f"UPDATE {FEBRUARY} SET passenger_count = 1",
    ),
    "an index": Object(
        f"CREATE INDEX ON {MAIN} (total_amount)",
        f"SELECT count(*) = 2 FROM pg_index WHERE indrelid = '{FEBRUARY}'::regclass",
    ),
    "an index of an expression": Object(
        f"CREATE INDEX ON {MAIN} ((total_amount * 2)) WHERE total_amount > 0",
        f"SELECT count(*) = 2 FROM pg_index WHERE indrelid = '{FEBRUARY}'::regclass",
    ),
    "a default": Object(
        f"ALTER TABLE {MAIN} ALTER extra SET DEFAULT 0.25",
        f"WITH made AS (INSERT INTO {FEBRUARY} (unique_row_id, filename, source_month) VALUES (gen_random_uuid(), "
        "'green_tripdata_2019-02.csv', '2019-02-01') RETURNING extra) SELECT extra = 0.25 FROM made",
    ),
    "a foreign key": Object(
        "CREATE TABLE public.vendors (id integer PRIMARY KEY); INSERT INTO public.vendors VALUES (1), (2); "
        f"ALTER TABLE {MAIN} ADD FOREIGN KEY (vendorid) REFERENCES public.vendors",
        refused=f"UPDATE {FEBRUARY} SET vendorid = 99",
    ),
    "a foreign key to it": Object(
        f"ALTER TABLE {MAIN} ADD PRIMARY KEY (unique_row_id, source_month); CREATE TABLE public.remarks (id uuid, "
        f"month date, FOREIGN KEY (id, month) REFERENCES {MAIN})",
        "WITH made AS (INSERT INTO public.remarks SELECT unique_row_id, source_month "
        f"FROM {FEBRUARY} RETURNING 1) SELECT count(*) = 3 FROM made",
    ),
    "a trigger after each row": Object(
        f"{NOTED}CREATE TRIGGER note AFTER INSERT ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.note()",
        "SELECT count(*) = 3 FROM public.noted",
    ),
    "a trigger whose function names no schema": Object(
        f"{NOTED_BY_SHORT_NAME}CREATE TRIGGER note AFTER INSERT ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.note()",
        "SELECT count(*) = 3 FROM public.noted",
    ),
    "a trigger that waits for the commit": Object(
        f"{NOTED_BY_SHORT_NAME}CREATE CONSTRAINT TRIGGER note AFTER INSERT ON {MAIN} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION public.note()",
        "SELECT count(*) = 3 FROM public.noted",
    ),
    "a trigger before each row": Object(
        f"{SET_TOTAL}CREATE TRIGGER set_total BEFORE INSERT ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.set_total()",
        f"SELECT bool_and(total_amount = 7) AND count(*) = 3 FROM {FEBRUARY}",
    ),
    "a trigger of updates": Object(
        f"{NOTED}CREATE TRIGGER note BEFORE UPDATE ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.note()",
        f"WITH made AS (UPDATE {FEBRUARY} SET extra = 1 RETURNING 1) SELECT count(*) = 3 FROM made",
    ),
    "a trigger that is disabled": Object(
        f"{NOTED}CREATE TRIGGER note AFTER INSERT ON {MAIN} EXECUTE FUNCTION public.note(); "
        f"ALTER TABLE {MAIN} DISABLE TRIGGER note",
        "SELECT count(*) = 0 FROM public.noted",
    ),
    "a publication": Object(
        f"CREATE PUBLICATION taxi FOR TABLE {MAIN}; ALTER TABLE {JANUARY} REPLICA IDENTITY FULL",
        "SELECT count(*) = 2 FROM pg_publication_tables WHERE pubname = 'taxi'",
    ),
    "a publication of all tables": Object(
        f"CREATE PUBLICATION taxi FOR ALL TABLES; ALTER TABLE {JANUARY} REPLICA IDENTITY FULL",
        f"WITH made AS (DELETE FROM {FEBRUARY} RETURNING 1) SELECT count(*) = 3 FROM made",
    ),
    "replica identity": Object(
        f"ALTER TABLE {MAIN} REPLICA IDENTITY FULL",
        f"SELECT relreplident = 'f' FROM pg_class WHERE oid = '{FEBRUARY}'::regclass",
    ),
    "a view and a materialized view": Object(
        f"CREATE VIEW public.totals AS SELECT filename, sum(total_amount) FROM {MAIN} GROUP BY 1; "
        "CREATE MATERIALIZED VIEW public.kept AS SELECT * FROM public.totals",
        "SELECT count(*) = 2 FROM public.totals",
    ),
    "row level security": Object(
        f"ALTER TABLE {MAIN} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; "
        f"CREATE POLICY few ON {MAIN} USING (passenger_count = 1)",
        f"SELECT relrowsecurity FROM pg_class WHERE oid = '{MAIN}'::regclass",
    ),
    "a comment": Object(
        f"COMMENT ON COLUMN {MAIN}.extra IS 'mine'",
        f"SELECT col_description('{MAIN}'::regclass, attnum) = 'mine' FROM pg_attribute "
        f"WHERE attrelid = '{MAIN}'::regclass AND attname = 'extra'",
    ),
    "statistics": Object(
        f"ALTER TABLE {MAIN} ALTER extra SET STATISTICS 500, ALTER extra SET (n_distinct = 7); "
        f"CREATE STATISTICS public.both ON extra, mta_tax FROM {MAIN}",
        f"SELECT attstattarget = 500 AND attoptions = '{{n_distinct=7}}' FROM pg_attribute "
        f"WHERE attrelid = '{FEBRUARY}'::regclass AND attname = 'extra'",
    ),
    "storage": Object(
        f"ALTER TABLE {MAIN} ALTER store_and_fwd_flag SET STORAGE EXTERNAL, "
        "ALTER store_and_fwd_flag SET COMPRESSION pglz",
        f"SELECT attstorage = 'e' AND attcompression = 'p' FROM pg_attribute "
        f"WHERE attrelid = '{FEBRUARY}'::regclass AND attname = 'store_and_fwd_flag'",
    ),
    "an empty default partition": Object(f"CREATE TABLE public.rest PARTITION OF {MAIN} DEFAULT"),
}


@dataclass(frozen=True)
class Obstacle:
    """Something that keeps a month out.

    :param made: by these statements, after January is loaded
    :param found: how the error names it
    :param month: the month that is then loaded
    """

    made: str
    found: str
    month: str = "2019-02"


OBSTACLES = {
    "a trigger for each statement": Obstacle(
        f'{NOTED}CREATE TRIGGER "my note" AFTER INSERT ON {MAIN} EXECUTE FUNCTION public.note()',
        'the trigger "my note"',
    ),
    "a trigger for each statement that updates": Obstacle(
        f"{NOTED}CREATE TRIGGER note AFTER UPDATE ON {MAIN} EXECUTE FUNCTION public.note()", "the trigger note"
    ),
    "a rule": Obstacle(
        f"CREATE TABLE public.noted (what text); CREATE RULE note AS ON INSERT TO {MAIN} DO ALSO "
        "INSERT INTO public.noted VALUES (NEW.filename)",
        "the rule note",
    ),
    "a rule for updates": Obstacle(
        f"CREATE TABLE public.noted (what text); CREATE RULE note AS ON UPDATE TO {MAIN} DO ALSO "
        "INSERT INTO public.noted VALUES (NEW.filename)",
        "the rule note",
    ),
    "rows in the default partition": Obstacle(
        f"CREATE TABLE public.rest PARTITION OF {MAIN} DEFAULT; INSERT INTO {MAIN} (unique_row_id, filename, "
        "source_month) VALUES (gen_random_uuid(), 'green_tripdata_2019-02.csv', '2019-02-01')",
        "1 row of 2019-02 in the default partition public.rest",
    ),
    "a partition of several months": Obstacle(
        f"CREATE TABLE public.several PARTITION OF {MAIN} FOR VALUES IN ('2019-02-01', '2019-03-01')",
        "the partition public.several, which holds the month beside other values",
    ),
    "a partition that is partitioned itself": Obstacle(
        f"CREATE TABLE public.deep PARTITION OF {MAIN} FOR VALUES IN ('2019-02-01') PARTITION BY HASH (vendorid)",
        "the partition public.deep of the month, which is partitioned itself",
    ),
    "a partition that can't be published": Obstacle(
        f"CREATE PUBLICATION taxi FOR TABLE {MAIN}; ALTER TABLE {JANUARY} REPLICA IDENTITY NOTHING",
        f"the publication taxi, to which {JANUARY} can't name its rows",
        "2019-01",
    ),
    "another owner": Obstacle(f"ALTER TABLE {MAIN} OWNER TO other_owner", f"the owner other_owner of {MAIN}"),
    "another owner of the partition": Obstacle(
        f"ALTER TABLE {JANUARY} OWNER TO other_owner", f"the owner other_owner of {JANUARY}", "2019-01"
    ),
    "a tablespace that the loader may not use": Obstacle(
        f"SET allow_in_place_tablespaces = on; CREATE TABLESPACE forbidden LOCATION ''; "
        f"ALTER TABLE {MAIN} SET TABLESPACE forbidden",
        "the tablespace forbidden",
    ),
}

COLUMNS = {
    "an extra column": ("ADD COLUMN mine text", "mine text, which the source doesn't have"),
    "a generated column": (
        "ADD COLUMN doubled numeric GENERATED ALWAYS AS (total_amount * 2) STORED",
        "doubled numeric GENERATED, which the source doesn't have",
    ),
    "a renamed column": ('RENAME COLUMN extra TO "Ex tra!"', "no extra numeric; Ex tra! numeric, which the source"),
    "a dropped column": ("DROP COLUMN extra", "no extra numeric"),
    "a retyped column": ("ALTER COLUMN extra TYPE text", "extra text in place of numeric"),
    "a narrower column": ("ALTER COLUMN extra TYPE numeric(8, 2)", r"extra numeric\(8,2\) in place of numeric"),
    "a collation": (
        'ALTER COLUMN store_and_fwd_flag TYPE text COLLATE "C"',
        "store_and_fwd_flag text with a collation of its own in place of text",
    ),
    "a column that numbers itself": (
        "ALTER COLUMN vendorid SET NOT NULL, ALTER COLUMN vendorid ADD GENERATED ALWAYS AS IDENTITY",
        "vendorid integer IDENTITY in place of integer",
    ),
}


def path_of(folder: Path, green: Source, month: str, totals: tuple[str, ...] = ("1.5", "2.5", "3.5")) -> Path:
    number = int(month[-2:])
    rows = [ROW.format(month=number, n=n, total=total) for n, total in enumerate(totals, start=1)]
    return write_gzip(
        folder / green.download_name(Month.parse(month)), [",".join(column.header for column in green.columns), *rows]
    )


@pytest.fixture
def loader(connect: Connect, postgres_server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A session of a role that is no superuser, in a database where it may create what a load needs."""
    administrator = connect()
    database = administrator.info.dbname
    with administrator.transaction():
        administrator.execute("CREATE ROLE loader_of_a_test; CREATE ROLE other_owner")
        administrator.execute("GRANT CREATE ON SCHEMA public TO loader_of_a_test, other_owner")
        administrator.execute(f"GRANT CREATE ON DATABASE {database} TO loader_of_a_test")
    connection = connect()
    with connection.transaction():
        connection.execute("SET ROLE loader_of_a_test")
    try:
        yield connection
    finally:
        connection.close()
        administrator.close()
        with postgres_server.connect(database, autocommit=True) as cleaner:
            for role in ("loader_of_a_test", "other_owner"):
                cleaner.execute(f"DROP OWNED BY {role} CASCADE")  # type: ignore[arg-type]
                cleaner.execute(f"DROP ROLE {role}")  # type: ignore[arg-type]
            if cleaner.execute("SELECT FROM pg_tablespace WHERE spcname = 'forbidden'").fetchone():
                cleaner.execute(f"DROP TABLE IF EXISTS {MAIN}")  # type: ignore[arg-type]
                cleaner.execute("DROP TABLESPACE forbidden")


@pytest.mark.parametrize("name", HOLDS)
def test_it_holds_for_a_new_month(name: str, connect: Connect, green: Source, tmp_path: Path) -> None:
    thing = HOLDS[name]
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(connection, thing.made)

    flags = ("2.5", "3.5", "4.5")
    path = path_of(tmp_path, green, "2019-02", flags)
    if name == "a CHECK that isn't valid for what was there":
        path = write_gzip(path, [",".join(c.header for c in green.columns), ROW.format(month=2, n=2, total=1)])
    tables = LoadTables(green, Month(2019, 2), "manual__2")
    assert begin_load(connection, tables, lambda: source_file(path)).nothing_to_do is None
    counts = load(connection, green, "2019-02", path, "manual__2")

    assert counts.inserted == int(query(connection, f"SELECT count(*) FROM {FEBRUARY}")[0][0])
    assert query(connection, thing.holds) == [(True,)]
    if thing.refused:
        with pytest.raises(psycopg.errors.IntegrityError), connection.transaction():
            connection.execute(thing.refused)  # type: ignore[arg-type]
    # A month that was there before can be corrected still.
    corrected = path_of(tmp_path, green, "2019-01", ("1.5", "2.5", "9.5"))
    if name not in ("a CHECK that isn't valid for what was there",):
        assert load(connection, green, "2019-01", corrected, "manual__3").unchanged in (0, 2)
    assert staging_tables(connection) == []


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_keeps_a_month_out_is_named_first_and_the_advice_leads_on(
    name: str, loader: psycopg.Connection[Any], connect: Connect, green: Source, tmp_path: Path
) -> None:
    obstacle = OBSTACLES[name]
    administrator = connect()
    load(loader, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(administrator, obstacle.made)
    path = path_of(tmp_path, green, obstacle.month)
    tables = LoadTables(green, Month.parse(obstacle.month), "manual__2")

    force = obstacle.month == "2019-01"
    with pytest.raises(errors.MainTableError) as caught:
        begin_load(loader, tables, lambda: pytest.fail("something was downloaded"), force=force)

    said = str(caught.value)
    assert said.startswith(f"green {obstacle.month}: public.green_tripdata can't take the month: found ")
    assert obstacle.found in said
    assert query(loader, "SELECT state, step FROM taxiway.loads ORDER BY load_id DESC LIMIT 1") == [
        ("failed", "download_month")
    ]
    (remedy,) = re.findall(r"AS=postgres\), (.*;) and load the month again", said)
    by_hand(administrator, remedy)
    assert begin_load(loader, tables, lambda: source_file(path), force=force).nothing_to_do is None
    counts = load(loader, green, obstacle.month, path, "manual__2")
    assert counts == (Counts(0, 0, 3) if obstacle.month == "2019-01" else Counts(3, 0, 0))


@pytest.mark.parametrize("name", COLUMNS)
def test_other_columns_are_named_first_and_the_advice_leads_on(
    name: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    change, found = COLUMNS[name]
    connection = connect()
    january, february = (path_of(tmp_path, green, month) for month in ("2019-01", "2019-02"))
    load(connection, green, "2019-01", january)
    columns = ", ".join(column.name for column in green.columns)
    before = query(connection, f"SELECT {columns} FROM {JANUARY} ORDER BY unique_row_id")
    by_hand(connection, f"ALTER TABLE {MAIN} {change}")
    tables = LoadTables(green, Month(2019, 2), "manual__2")

    with pytest.raises(errors.MainTableError, match=found) as caught:
        begin_load(connection, tables, lambda: pytest.fail("something was downloaded"))

    (remedy,) = re.findall(r"[Rr]un ((?:CREATE|ALTER) TABLE .*); or give", str(caught.value))
    by_hand(connection, remedy)
    assert load(connection, green, "2019-02", february, "manual__2") == Counts(3, 0, 0)
    again = LoadTables(green, Month(2019, 1), "manual__2")
    fetched = begin_load(connection, again, lambda: source_file(january))
    if fetched.nothing_to_do is None:
        load(connection, green, "2019-01", january, "manual__2")
    assert query(connection, f"SELECT {columns} FROM {JANUARY} ORDER BY unique_row_id") == before


def test_a_column_of_ones_own_is_kept_for_no_file_holds_it(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    january = path_of(tmp_path, green, "2019-01")
    load(connection, green, "2019-01", january)
    by_hand(
        connection,
        f'ALTER TABLE {MAIN} ADD COLUMN "my note" text; UPDATE {MAIN} SET "my note" = \'seen \' || passenger_count; '
        "CREATE TABLE public.green_tripdata_columns_1 (mine text)",
    )
    noted = query(connection, f'SELECT unique_row_id, filename, source_month, "my note" FROM {MAIN} ORDER BY 1')

    with pytest.raises(errors.MainTableError, match="of no other column, which the new table keeps") as caught:
        load(connection, green, "2019-01", january, "manual__2")

    (remedy,) = re.findall(r"Run (CREATE TABLE .*); or give", str(caught.value))
    by_hand(connection, remedy)
    assert query(connection, "SELECT * FROM public.green_tripdata_columns_2 ORDER BY 1") == noted
    assert load(connection, green, "2019-01", january, "manual__2").unchanged == 3


IN_ITS_PLACE = {
    "an ordinary table": "CREATE TABLE {0} (a integer)",
    "a view": "CREATE VIEW {0} AS SELECT 1 AS a",
    "a materialized view": "CREATE MATERIALIZED VIEW {0} AS SELECT 1 AS a",
    "a sequence": "CREATE SEQUENCE {0}",
    "a composite type": "CREATE TYPE {0} AS (a integer)",
    "an index": "CREATE TABLE public.other (a integer); CREATE INDEX green_tripdata ON public.other (a)",
    "a foreign table": "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere; "
    "CREATE FOREIGN TABLE {0} (a integer) SERVER nowhere",
}


@pytest.mark.parametrize("name", IN_ITS_PLACE)
def test_what_is_in_the_main_tables_place_is_called_what_it_is(
    name: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    by_hand(connection, IN_ITS_PLACE[name].format(MAIN))
    path = path_of(tmp_path, green, "2019-01")

    with pytest.raises(errors.MainTableError, match=f"found {name}") as caught:
        begin_load(
            connection, LoadTables(green, Month(2019, 1), "manual__1"), lambda: pytest.fail("something was downloaded")
        )

    # Both ways that the error names lead on.
    elsewhere = replace(green, main_table="green_trips")
    assert "or give the source another main_table in include/sources/green.yaml" in str(caught.value)
    assert load(connection, elsewhere, "2019-01", path, "manual__1") == Counts(3, 0, 0)
    (rename,) = re.findall(r"Rename it \((ALTER .* RENAME TO) …\)", str(caught.value))
    by_hand(connection, f"{rename} mine")
    with connection.transaction():
        connection.execute("TRUNCATE taxiway.loads CASCADE")
    assert load(connection, green, "2019-01", path, "manual__2") == Counts(3, 0, 0)


def test_a_table_that_is_partitioned_by_something_else(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(
        connection,
        f"CREATE TABLE public.other (LIKE {MAIN}) PARTITION BY RANGE (lpep_pickup_datetime); DROP TABLE {MAIN}; "
        "ALTER TABLE public.other RENAME TO green_tripdata",
    )

    with pytest.raises(
        errors.MainTableError,
        match=r"found one partitioned by RANGE \(lpep_pickup_datetime\), .*: give the source another main_table",
    ):
        load(connection, green, "2019-02", path_of(tmp_path, green, "2019-02"), "manual__2")

    elsewhere = replace(green, main_table="green_trips")
    assert load(connection, elsewhere, "2019-02", path_of(tmp_path, green, "2019-02"), "manual__2").inserted == 3


@pytest.mark.parametrize("month", ["2019-01", "2019-02"], ids=["a published month", "a new month"])
def test_rows_that_break_a_constraint_are_named_before_they_are_published(
    month: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(
        connection,
        f'ALTER TABLE {MAIN} ADD CONSTRAINT "all sane" CHECK (total_amount < 100), ALTER extra SET NOT NULL, '
        "ADD CONSTRAINT kept CHECK (extra >= 0)",
    )
    path = path_of(tmp_path, green, month, ("1.5", "100.5", "200.5"))

    with pytest.raises(errors.CheckFailedError) as caught:
        load(connection, green, month, path, "manual__2")

    said = str(caught.value)
    assert said.startswith(f"green {month}: green_tripdata_{month}.csv: expected rows that public.green_tripdata takes")
    assert re.search(r'2 rows breaking "all sane" \(CHECK \(.*100.*\)\), for example \(.*[12]00\.5.*\)\. Nothing', said)
    assert "kept" not in said
    assert query(connection, "SELECT state, step FROM taxiway.loads ORDER BY load_id DESC LIMIT 1") == [
        ("failed", "check_month")
    ]
    (remedy,) = re.findall(r"run (.*;) and clear the task stage_month", said)
    by_hand(connection, remedy)
    assert load(connection, green, month, path, "manual__2").inserted in (2, 3)


RAISING = {
    "a division by zero": (
        f"ALTER TABLE {MAIN} ADD CONSTRAINT sane CHECK (extra >= 0), "
        'ADD CONSTRAINT "per head" CHECK (total_amount / (passenger_count - 1) < 1000)',
        "division by zero (SQLSTATE 22012)",
    ),
    "a function that raises": (
        "CREATE FUNCTION public.refuse(numeric) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'never'; END $$; "
        f'ALTER TABLE {MAIN} ADD CONSTRAINT "per head" CHECK (public.refuse(total_amount)) NOT VALID',
        "never (SQLSTATE P0001)",
    ),
    "a function that is gone from the search_path": (
        "CREATE FUNCTION public.refuse(numeric) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN nowhere($1); END $$; "
        f'ALTER TABLE {MAIN} ADD CONSTRAINT "per head" CHECK (public.refuse(total_amount)) NOT VALID',
        "function nowhere(numeric) does not exist (SQLSTATE 42883)",
    ),
}


@pytest.mark.parametrize("name", RAISING)
def test_a_constraint_that_raises_is_named(name: str, connect: Connect, green: Source, tmp_path: Path) -> None:
    made, said = RAISING[name]
    connection = connect()
    header, *rows = lines_of(path_of(tmp_path, green, "2019-01"))
    load(connection, green, "2019-01", write_gzip(tmp_path / green.download_name(Month(2019, 1)), [header, rows[1]]))
    by_hand(connection, made)
    path = path_of(tmp_path, green, "2019-02")

    with pytest.raises(errors.CheckFailedError) as caught:
        load(connection, green, "2019-02", path, "manual__2")

    assert 'found one for which "per head" (CHECK (' in str(caught.value)
    assert f"can't be told: Postgres says: {said}. Nothing was published: " in str(caught.value)
    (remedy,) = re.findall(r"run (ALTER TABLE .*;) and clear the task stage_month", str(caught.value))
    by_hand(connection, remedy)
    assert load(connection, green, "2019-02", path, "manual__2") == Counts(3, 0, 0)


MANY = [f"the_{number:02d}th_of_many_things_that_people_have_called_by_a_long_name" for number in range(30)]
MANY_OBJECTS = {
    "triggers": (
        "; ".join(
            f"CREATE TRIGGER {name} AFTER INSERT ON {MAIN} FOR EACH STATEMENT EXECUTE FUNCTION "
            "suppress_redundant_updates_trigger()"
            for name in MANY
        ),
        r"AS=postgres\), (.*;) and load the month again(?:, which names the other \d+)?$",
    ),
    "columns": (
        f"ALTER TABLE {MAIN} " + ", ".join(f"ADD COLUMN {name} text" for name in MANY),
        r"Run (CREATE TABLE .*; ALTER TABLE .*); or give .*, and of no other column, which the new table keeps$",
    ),
    "constraints": (
        f"ALTER TABLE {MAIN} " + ", ".join(f"ADD CONSTRAINT {name} CHECK (total_amount < 100)" for name in MANY),
        r"run (.*;) and clear the task stage_month with its downstream tasks(?:; that names the other \d+)?$",
    ),
}


@pytest.mark.parametrize("name", MANY_OBJECTS)
def test_each_statement_of_many_is_whole_and_the_rest_is_named_next(
    name: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    made, advice = MANY_OBJECTS[name]
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(connection, made)
    path = path_of(tmp_path, green, "2019-02", ("1.5", "100.5", "200.5"))
    tables = LoadTables(green, Month(2019, 2), "manual__2")

    for calls in range(len(MANY)):
        try:
            begin_load(connection, tables, lambda: source_file(path))
            counts = load(connection, green, "2019-02", path, "manual__2")
            break
        except errors.TaxiwayError as error:
            said = str(error)
            assert "…" not in said
            (remedy,) = re.findall(advice, said)
            by_hand(connection, remedy)
            if calls == 0:
                assert re.search(r" and \d+ more[.;] .* names the other \d+", said)
    assert counts == Counts(3, 0, 0)
    assert 1 < calls < len(MANY) / 2


BROKEN_KEYS = {
    "a foreign key": (
        "CREATE TABLE public.vendors (id integer PRIMARY KEY); INSERT INTO public.vendors VALUES (2); "
        f"ALTER TABLE {MAIN} ADD CONSTRAINT known FOREIGN KEY (vendorid) REFERENCES public.vendors; "
        "ALTER TABLE public.vendors DISABLE TRIGGER ALL; DELETE FROM public.vendors; "
        "ALTER TABLE public.vendors ENABLE TRIGGER ALL",
        r"Key \(vendorid\)=\(2\) is not present in table",
        "INSERT INTO public.vendors VALUES (2)",
    ),
    "a unique constraint": (
        f"ALTER TABLE {MAIN} ADD CONSTRAINT once UNIQUE (source_month, total_amount)",
        r"Key \(source_month, total_amount\)=\(2019-02-01, 5\) is duplicated",
        f"ALTER TABLE {MAIN} DROP CONSTRAINT once",
    ),
}


@pytest.mark.parametrize("name", BROKEN_KEYS)
def test_rows_that_break_a_key_are_named(name: str, connect: Connect, green: Source, tmp_path: Path) -> None:
    made, said, remedy = BROKEN_KEYS[name]
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(connection, made)
    path = path_of(tmp_path, green, "2019-02", ("5", "5", "6"))

    with pytest.raises(errors.CheckFailedError, match=f"green 2019-02: .*{said}.*Nothing was published"):
        load(connection, green, "2019-02", path, "manual__2")

    by_hand(connection, remedy)
    assert load(connection, green, "2019-02", path, "manual__2") == Counts(3, 0, 0)


REFERRING = (
    f"ALTER TABLE {MAIN} ADD PRIMARY KEY (unique_row_id, source_month); "
    'CREATE TABLE public."My notes" (id uuid, month date, '
    f'CONSTRAINT "of a trip" FOREIGN KEY (id, month) REFERENCES {MAIN}){{}}; '
    'INSERT INTO public."My notes" SELECT unique_row_id, source_month '
)


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("way", ["delete", "run"])
def test_rows_that_another_table_refers_to_are_named_with_that_table(
    way: str, partitioned: bool, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    load(connection, green, "2019-02", path_of(tmp_path, green, "2019-02"), "manual__2")
    parts = (
        ' PARTITION BY HASH (id); CREATE TABLE public.all_notes PARTITION OF public."My notes" FOR VALUES WITH '
        "(MODULUS 1, REMAINDER 0)"
    )
    by_hand(connection, REFERRING.format(parts if partitioned else "") + f"FROM {MAIN}")
    corrected = path_of(tmp_path, green, "2019-01", ("1.5", "2.5", "9.5"))

    with pytest.raises(
        errors.CheckFailedError,
        match=r"expected that nothing refers to rows that the file no longer has, found: update or delete on table .* "
        r"Nothing was published: ",
    ) as caught:
        load(connection, green, "2019-01", corrected, "manual__3")

    (holder, remedy) = re.findall(r"delete the rows of (.*) that refer .*, or run (.*); then", str(caught.value))[0]
    by_hand(connection, f"DELETE FROM {holder}" if way == "delete" else remedy)
    assert load(connection, green, "2019-01", corrected, "manual__3") == Counts(1, 1, 2)


AUDIT = (
    "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN INSERT INTO public.audit VALUES (NEW.vendorid, NEW.unique_row_id, NEW.source_month); RETURN NEW; END $$; "
    f"CREATE TRIGGER keep BEFORE INSERT ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.keep(); "
)
FAILING = {
    "a foreign key to another table": (
        "CREATE TABLE public.vendors (id integer PRIMARY KEY); "
        f"CREATE TABLE public.audit (id integer REFERENCES public.vendors, trip uuid, month date); {AUDIT}",
        r" on public\.audit",
    ),
    "a foreign key to the main table": (
        f"ALTER TABLE {MAIN} ADD PRIMARY KEY (unique_row_id, source_month); CREATE TABLE public.audit (id integer, "
        f"trip uuid, month date, FOREIGN KEY (trip, month) REFERENCES {MAIN}); {AUDIT}",
        r" on public\.audit",
    ),
    "a unique constraint": (
        f"CREATE TABLE public.audit (id integer UNIQUE, trip uuid, month date); {AUDIT}",
        r" on public\.audit",
    ),
    "an error of the trigger's own": (
        "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE check_violation USING MESSAGE = 'never'; END $$; "
        f"CREATE TRIGGER keep BEFORE INSERT ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.keep(); ",
        "",
    ),
}


@pytest.mark.parametrize("month", ["2019-01", "2019-02"], ids=["a published month", "a new month"])
@pytest.mark.parametrize("name", FAILING)
def test_a_triggers_statement_that_fails_is_called_that(
    name: str, month: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    made, table = FAILING[name]
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(connection, made)
    path = path_of(tmp_path, green, month, ("1.5", "7.5", "9.5"))

    with pytest.raises(
        errors.CheckFailedError,
        match=rf"found: a statement of a trigger{table} failed \(.*function keep\(\) line .* Nothing was published: ",
    ) as caught:
        load(connection, green, month, path, "manual__2")

    (remedy,) = re.findall(r"run (ALTER TABLE .* DISABLE TRIGGER) with its name; then clear", str(caught.value))
    by_hand(connection, f"{remedy} keep")
    assert load(connection, green, month, path, "manual__2").inserted in (2, 3)


def test_rows_that_refer_to_a_partition_alone_are_named(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(
        connection,
        f"CREATE TABLE public.notes (id uuid REFERENCES {JANUARY} (unique_row_id)); "
        f"INSERT INTO public.notes SELECT unique_row_id FROM {JANUARY}",
    )
    corrected = path_of(tmp_path, green, "2019-01", ("1.5", "2.5", "9.5"))

    with pytest.raises(errors.CheckFailedError, match=r"delete the rows of public\.notes that refer to such rows"):
        load(connection, green, "2019-01", corrected, "manual__2")

    by_hand(connection, "DELETE FROM public.notes")
    assert load(connection, green, "2019-01", corrected, "manual__2") == Counts(1, 1, 2)


def test_a_key_that_waits_for_the_commit_is_named_too(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    by_hand(connection, "CREATE TABLE public.flags (flag text PRIMARY KEY); INSERT INTO public.flags VALUES ('N')")
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(
        connection,
        f"ALTER TABLE {MAIN} ADD FOREIGN KEY (store_and_fwd_flag) REFERENCES public.flags "
        "DEFERRABLE INITIALLY DEFERRED",
    )
    header, *rows = lines_of(path_of(tmp_path, green, "2019-01"))
    path = write_gzip(
        tmp_path / green.download_name(Month(2019, 1)), [header, *(row.replace(",N,", ",Y,") for row in rows)]
    )

    with pytest.raises(errors.CheckFailedError, match=r"Key \(store_and_fwd_flag\)=\(Y\) is not present"):
        load(connection, green, "2019-01", path, "manual__2")

    by_hand(connection, "INSERT INTO public.flags VALUES ('Y')")
    assert load(connection, green, "2019-01", path, "manual__2") == Counts(3, 3, 0)


def test_the_reader_reads_a_table_with_policies_through_them_only(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    had_reader = query(connection, "SELECT count(*) FROM pg_roles WHERE rolname = 'taxiway_reader'") == [(1,)]
    if not had_reader:
        by_hand(connection, "CREATE ROLE taxiway_reader")
    try:
        load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
        by_hand(
            connection,
            "GRANT USAGE ON SCHEMA public TO taxiway_reader; "
            f"ALTER TABLE {MAIN} ENABLE ROW LEVEL SECURITY; CREATE POLICY one ON {MAIN} USING (passenger_count = 1)",
        )
        load(connection, green, "2019-02", path_of(tmp_path, green, "2019-02"), "manual__2")

        with connection.transaction(force_rollback=True):
            connection.execute("SET ROLE taxiway_reader")
            assert connection.execute(f"SELECT count(*) FROM {MAIN}").fetchone() == (2,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT count(*) FROM {FEBRUARY}")
    finally:
        connection.rollback()
        if not had_reader:
            by_hand(connection, "DROP OWNED BY taxiway_reader; DROP ROLE taxiway_reader")


def test_a_detached_partition_is_named_before_anything_is_downloaded(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(connection, f"ALTER TABLE {MAIN} DETACH PARTITION {JANUARY}")

    with pytest.raises(errors.MainTableError, match=r"found a table public\.green_tripdata_2019_01 that is not"):
        begin_load(
            connection, LoadTables(green, Month(2019, 1), "manual__2"), lambda: pytest.fail("something was downloaded")
        )


def test_a_month_goes_into_the_main_tables_tablespace(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    load(connection, green, "2019-01", path_of(tmp_path, green, "2019-01"))
    by_hand(
        connection,
        "SET allow_in_place_tablespaces = on; CREATE TABLESPACE roomy LOCATION ''; "
        f"ALTER TABLE {MAIN} SET TABLESPACE roomy",
    )
    try:
        load(connection, green, "2019-02", path_of(tmp_path, green, "2019-02"), "manual__2")

        assert query(
            connection,
            "SELECT spcname FROM pg_class JOIN pg_tablespace AS t ON reltablespace = t.oid "
            f"WHERE pg_class.oid = '{FEBRUARY}'::regclass",
        ) == [("roomy",)]
    finally:
        connection.rollback()
        by_hand(connection, f"DROP TABLE {MAIN}; DROP TABLESPACE roomy")
