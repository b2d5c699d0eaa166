"""A warehouse of version 0.1.0: its main table is brought over to partitions by month, or refused before any change."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway import errors
from taxiway.loads.load import Counts
from taxiway.loads.month import Downloaded
from taxiway.loads.row_identity import digest
from taxiway.messages import LONGEST_MESSAGE
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Layout, Source, load_source
from taxiway.warehouses.postgres import session
from taxiway.warehouses.postgres.main_table import ensure_tables
from taxiway.warehouses.postgres.partition import Partition, sum_up
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.postgres_server import binary
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect, PostgresServer
from tests.integration.airflow_environment import wait_until
from tests.loading import (
    begin_load,
    by_hand,
    check_month,
    hash_rows,
    lines_of,
    load,
    merge_month,
    query,
    source_file,
    specified_ids,
    stage_month,
    table_digest,
    write_gzip,
)
from tests.releases import from_path, on_mirror

EARLIER = Path(__file__).parent / "warehouse_of_0_1_0.sql"
MONTHS = ("2019-01", "2019-02", "2019-03")
MAIN = "public.green_tripdata"
GREEN = on_mirror(load_source(SOURCES_FOLDER / "green.yaml"))
JANUARY, FEBRUARY, MARCH = (f"{MAIN}_{month.replace('-', '_')}" for month in MONTHS)
Files = Callable[[str], Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, green: Source) -> Files:
    """Return the path of a month's file: of the earlier warehouse's, those that it was loaded from."""
    folder = tmp_path_factory.mktemp("files")

    def file(month: str) -> Path:
        path = folder / green.download_name(Month.parse(month))
        if not path.exists():
            write_sample_month(green, Month.parse(month), path, rows=8)
            if month == "2019-02":
                lines = lines_of(path)
                write_gzip(path, [*lines, lines[1], "no row"])
        return path

    return file


def make_earlier(connection: psycopg.Connection[Any], files: Files) -> None:
    """Make the warehouse as version 0.1.0 left it.

    A dump doesn't keep which transaction wrote a row, and the files are compressed by the zlib at hand.
    """
    with connection.transaction():
        connection.execute(EARLIER.read_bytes())
    with transaction(connection) as cursor:
        for month in MONTHS:
            partition = Partition(f"{MAIN}_{month.replace('-', '_')}", True)
            digest = sum_up(cursor, partition, Layout(GREEN.columns)).digest
            cursor.execute(
                "UPDATE taxiway.loads SET partition_digest = %s, sha256 = %s WHERE month = %s::date",
                [digest, source_file(files(month)).sha256, f"{month}-01"],
            )


@pytest.fixture
def earlier(connect: Connect, files: Files) -> psycopg.Connection[Any]:
    connection = connect()
    make_earlier(connection, files)
    return connection


@pytest.fixture
def role(postgres_server: PostgresServer) -> Iterator[str]:
    """A role that owns nothing when the test ends."""
    name = f"role_{uuid.uuid4().hex[:8]}"
    with postgres_server.connect(autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        for (database,) in connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall():
            with postgres_server.connect(database, autocommit=True) as there:
                there.execute(f"DROP OWNED BY {name} CASCADE")
        connection.execute(f"DROP ROLE {name}")


def bring_over(connection: psycopg.Connection[Any], source: Source) -> None:
    with transaction(connection) as cursor:
        ensure_tables(cursor, source)


def fetched(
    connection: psycopg.Connection[Any], source: Source, month: str, files: Files, run_id: str = "again"
) -> Downloaded:
    tables = LoadTables(source, Month.parse(month), run_id)
    return begin_load(connection, tables, lambda: source_file(files(month)))


def rows(connection: psycopg.Connection[Any], source: Source) -> list[tuple[Any, ...]]:
    """Return every row with the transaction that wrote it and its table, and without what is brought over."""
    columns = ", ".join(f'"{column.name}"' for column in source.columns)
    return query(
        connection, f"SELECT unique_row_id, {columns}, xmin::text, tableoid::regclass::text FROM {MAIN} ORDER BY 1"
    )


LEDGER = (
    "SELECT load_id, source, month, destination, run_id, attempt, step, state, url, sha256, rows_read, rows_rejected, "
    "rows_staged, rows_inserted, warnings, started_at, finished_at FROM taxiway.loads WHERE run_id <> 'again' "
    "ORDER BY 1"
)
REJECTS = "SELECT load_id, source, month, line_number, raw_line, reason FROM taxiway.rejected_rows"
EARLIER_NAMES = (
    "SELECT tableoid::regclass::text, filename, count(*) FROM public.green_tripdata GROUP BY 1, 2 ORDER BY 1"
)
NAMES = (
    "SELECT tableoid::regclass::text, filename, source_month::text, count(*) FROM public.green_tripdata "
    "GROUP BY 1, 2, 3 ORDER BY 1"
)


def test_every_row_and_id_stays_and_the_same_file_is_unchanged(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    before, ledger, rejects = rows(earlier, green), query(earlier, LEDGER), query(earlier, REJECTS)
    tables_before = query(earlier, "SELECT relname, oid, relfilenode FROM pg_class WHERE relkind = 'r' ORDER BY 1")

    found = [fetched(earlier, green, month, files) for month in MONTHS]

    assert [each.nothing_to_do is None for each in found] == [False, False, False]
    assert rows(earlier, green) == before
    expected = [row_id for month in MONTHS for row_id in specified_ids(green, read_rows(files(month)))]
    assert sorted(str(row[0]).replace("-", "") for row in before) == sorted(expected)
    assert query(earlier, NAMES) == [
        ("green_tripdata_2019_01", "green_tripdata_2019-01.csv", "2019-01-01", 8),
        ("green_tripdata_2019_02", "green_tripdata_2019-02.csv", "2019-02-01", 9),
        ("green_tripdata_2019_03", "green_tripdata_2019-03.csv", "2019-03-01", 8),
    ]
    # The ledger is as it was, but for the file's name; so are the rejected lines.
    assert query(earlier, LEDGER) == ledger
    assert query(earlier, REJECTS) == rejects != []
    assert query(earlier, "SELECT DISTINCT filename FROM taxiway.loads ORDER BY 1") == [
        (green.filename(Month.parse(month)),) for month in MONTHS
    ]
    # The partitions are the same tables in the same files: no row was written.
    assert (
        query(earlier, "SELECT relname, oid, relfilenode FROM pg_class WHERE relkind = 'r' ORDER BY 1") == tables_before
    )
    # The main table is what a new one is.
    assert query(earlier, f"SELECT pg_get_partkeydef('{MAIN}'::regclass)") == [("LIST (source_month)",)]
    assert [name for (name,) in query(earlier, COLUMNS)][:4] == [
        "unique_row_id",
        "filename",
        "source_month",
        "vendorid",
    ]
    assert query(earlier, "SELECT relname FROM pg_class WHERE relname LIKE 'earlier%'") == []


COLUMNS = f"SELECT attname FROM pg_attribute WHERE attrelid = '{MAIN}'::regclass AND attnum > 0 ORDER BY attnum"


def read_rows(path: Path) -> Path:
    """Return a file without the line that is no row."""
    lines = lines_of(path)
    return write_gzip(path.parent / f"read_{path.name}", [line for line in lines if line != "no row"])


def test_a_corrected_file_and_new_months_load_on_what_was_brought_over(
    earlier: psycopg.Connection[Any], green: Source, files: Files, tmp_path: Path
) -> None:
    lines = lines_of(files("2019-01"))
    corrected = write_gzip(tmp_path / "corrected.csv.gz", [*lines[:-1], lines[1]])

    assert load(earlier, green, "2019-01", corrected, "manual__corrected") == Counts(1, 1, 7)
    assert load(earlier, green, "2019-04", files("2019-04"), "manual__new") == Counts(8, 0, 0)

    expected = specified_ids(green, corrected)
    assert table_digest(earlier, green, "green_tripdata_2019-01.csv") == digest(expected)
    for month in ("2019-01", "2019-04"):
        plan = query(
            earlier, f"EXPLAIN (COSTS OFF) SELECT FROM {MAIN} WHERE filename = '{green.filename(Month.parse(month))}'"
        )
        read = re.findall(r"green_tripdata_2019_\d\d", str(plan))
        assert read == [f"green_tripdata_{month.replace('-', '_')}"], "a query for one file reads one partition"


def test_it_is_brought_over_for_a_source_that_has_gained_a_column_too(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    """The shipped source, and one more column."""
    before = rows(earlier, green)
    shipped = load_source(SOURCES_FOLDER / "green.yaml")
    gained = Column("a_toll", "a_toll", "numeric", "US dollars", since=shipped.last_month or Month(2027, 1))

    found = fetched(earlier, replace(shipped, columns=(*shipped.columns, gained)), "2019-01", files)

    assert found.nothing_to_do is not None
    assert rows(earlier, green) == before
    assert query(earlier, f"SELECT count(*), count(a_toll) FROM {MAIN}") == [(25, 0)]


def test_partitions_of_any_release_are_brought_over_with_the_names_of_their_own_files(
    earlier: psycopg.Connection[Any], green: Source
) -> None:
    """A month may come from another release by now: its rows keep the name of the file that they come from."""
    release = green.releases[0]
    before = replace(release, first=Month(2018, 1), last=Month(2018, 12), path="old_{month}.parquet", format="parquet")
    after = replace(release, first=Month(2019, 2), path="green_tripdata_{month}.parquet", format="parquet")
    source = replace(green, releases=(before, replace(release, last=Month(2019, 1)), after))

    bring_over(earlier, source)

    assert [name for _, name, _, _ in query(earlier, NAMES)] == [f"green_tripdata_{month}.csv" for month in MONTHS]
    assert query(earlier, "SELECT DISTINCT filename FROM taxiway.loads ORDER BY 1") == [
        (f"green_tripdata_{month}.csv",) for month in MONTHS
    ]


def test_months_that_are_loaded_at_the_same_time_bring_it_over_once(
    earlier: psycopg.Connection[Any], connect: Connect, green: Source, files: Files
) -> None:
    months = ("2019-04", "2019-05", "2019-06")
    before = rows(earlier, green)

    with ThreadPoolExecutor(len(months)) as pool:
        for load_one in [
            pool.submit(load, connect(), green, month, files(month), f"backfill__{month}") for month in months
        ]:
            load_one.result()

    assert set(before) < set(rows(earlier, green))
    assert query(earlier, f"SELECT count(*) FROM {MAIN}") == [(25 + 24,)]


MADE = f"""
CREATE VIEW public.totals WITH (security_barrier = true) AS SELECT * FROM {MAIN} WHERE total_amount > 0;
CREATE VIEW public.sums AS SELECT filename, sum(total_amount) AS total FROM public.totals GROUP BY 1;
CREATE VIEW public."a View" AS SELECT t.vendorid FROM {MAIN} AS t JOIN public.totals USING (unique_row_id);
COMMENT ON VIEW public.totals IS 'above zero';
CREATE INDEX by_total ON {MAIN} (total_amount) WHERE total_amount > 0;
CREATE INDEX by_file ON {MAIN} (filename);
COMMENT ON INDEX public.by_total IS 'for reports';
CREATE INDEX own ON {JANUARY} (filename, total_amount);
ALTER TABLE {MAIN} ADD CONSTRAINT "50% sane" CHECK (total_amount > -10000);
COMMENT ON CONSTRAINT "50% sane" ON {MAIN} IS 'not more';
ALTER TABLE {MAIN} ALTER trip_distance SET NOT NULL, ALTER extra SET DEFAULT 0.25,
    ALTER vendorid SET STATISTICS 500, ALTER store_and_fwd_flag SET STORAGE EXTERNAL;
CREATE STATISTICS public.places ON pulocationid, dolocationid FROM {MAIN};
COMMENT ON STATISTICS public.places IS 'places';
ALTER STATISTICS public.places SET STATISTICS 77;
ALTER STATISTICS public.places OWNER TO role_name;
CREATE TABLE public.vendors (id integer PRIMARY KEY);
INSERT INTO public.vendors VALUES (1), (2), (6);
ALTER TABLE {MAIN} ADD CONSTRAINT of_vendor FOREIGN KEY (vendorid) REFERENCES public.vendors;
CREATE TABLE public.noted (what text);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO public.noted VALUES (TG_OP); RETURN NEW; END $$;
CREATE TRIGGER note AFTER INSERT ON {MAIN} FOR EACH ROW WHEN (NEW.total_amount IS NOT NULL)
EXECUTE FUNCTION public.note();
CREATE TRIGGER quiet AFTER INSERT ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.note();
ALTER TABLE {MAIN} DISABLE TRIGGER quiet;
COMMENT ON TRIGGER quiet ON {MAIN} IS 'not now';
CREATE POLICY few ON {MAIN} FOR SELECT TO role_name, CURRENT_USER USING (vendorid = 1 AND filename LIKE 'green%');
COMMENT ON POLICY few ON {MAIN} IS 'one vendor';
ALTER TABLE {MAIN} ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE {MAIN} IS 'ours';
COMMENT ON COLUMN {MAIN}.extra IS 'an extra';
GRANT SELECT, INSERT ON {MAIN} TO role_name WITH GRANT OPTION;
GRANT UPDATE (extra, filename) ON {MAIN} TO role_name;
GRANT SELECT ON public.totals TO PUBLIC;
GRANT SELECT ON {JANUARY} TO role_name;
GRANT UPDATE (filename), SELECT (filename) ON {JANUARY} TO role_name WITH GRANT OPTION;
COMMENT ON COLUMN {JANUARY}.filename IS 'the file of January';
ALTER TABLE {JANUARY} ALTER filename SET STATISTICS 300, ALTER filename SET (n_distinct = 1);
CREATE STATISTICS public.of_january ON unique_row_id, filename FROM {JANUARY};
COMMENT ON STATISTICS public.of_january IS 'one file';
COMMENT ON INDEX public.own IS 'own';
ALTER TABLE {JANUARY} CLUSTER ON own;
ALTER TABLE {JANUARY} ADD CONSTRAINT own_key UNIQUE NULLS NOT DISTINCT (filename, unique_row_id) INCLUDE (vendorid)
    WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT own_key ON {JANUARY} IS 'a key of January';
COMMENT ON INDEX public.own_key IS 'its index';
ALTER TABLE {FEBRUARY} ADD CONSTRAINT first PRIMARY KEY (unique_row_id, filename);
ALTER TABLE {FEBRUARY} REPLICA IDENTITY USING INDEX first;
ALTER TABLE {MARCH} ADD CONSTRAINT apart EXCLUDE USING btree (filename WITH =, unique_row_id WITH =);
CREATE UNIQUE INDEX unique_of_march ON {MARCH} (lower(filename), unique_row_id);
CREATE PUBLICATION everything FOR ALL TABLES;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO PUBLIC;
"""
"""What people make of a main table and its partitions."""

DESCRIBED = """
SELECT 'view', format('%s %s %s %s %s', oid::regclass, relowner::regrole, reloptions, relacl, obj_description(oid)) ||
    pg_get_viewdef(oid) || relispopulated FROM pg_class
    WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', format('%s %s %s %s %s %s', regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+', 'INDEX'),
    indisvalid, indisclustered, indisreplident, obj_description(indexrelid), spcname)
    FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid LEFT JOIN pg_tablespace AS s ON s.oid = reltablespace
    WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'publication', format('%s %s %s %s', pubname, tablename, rowfilter,
    ARRAY(SELECT unnest(attnames) AS name EXCEPT SELECT 'source_month' ORDER BY name))
    FROM pg_publication_tables WHERE pubname <> 'everything'
UNION ALL
SELECT 'sequence', format('%s %s %s', d.objid::regclass, refobjid::regclass, attname) FROM pg_depend AS d
    JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid JOIN pg_class AS c ON c.oid = d.objid
    WHERE deptype = 'a' AND relkind = 'S' AND d.classid = 'pg_class'::regclass
UNION ALL
SELECT 'constraint', format('%s %s %s %s', conrelid::regclass, CASE contype WHEN 'n' THEN '' ELSE conname END,
    pg_get_constraintdef(oid), obj_description(oid)) FROM pg_constraint
    WHERE conrelid::regclass::text LIKE 'green_tripdata%' AND conparentid = 0 AND conname <> 'of_one_file'
    AND NOT (contype = 'n' AND pg_get_constraintdef(oid) LIKE '%source_month')
UNION ALL
SELECT 'column', format('%s %s %s %s %s %s %s %s', attrelid::regclass, attname, attstattarget, attstorage, attacl,
    attoptions, pg_get_expr(adbin, adrelid),
    CASE WHEN attname <> 'filename' OR relkind = 'r' THEN col_description(attrelid, attnum) END)
    FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid::regclass::text LIKE 'green_tripdata%' AND attnum > 0 AND NOT attisdropped
    AND attname <> 'source_month'
    AND relkind IN ('r', 'p')
UNION ALL
SELECT 'statistics', format('%s %s %s %s', pg_get_statisticsobjdef(oid), stxowner::regrole, stxstattarget,
    obj_description(oid)) FROM pg_statistic_ext
UNION ALL
SELECT 'trigger', format('%s %s %s', pg_get_triggerdef(oid), tgenabled,
    CASE tgparentid WHEN 0 THEN obj_description(oid) END) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'policy', format('%s %s', pg_policies, (SELECT string_agg(obj_description(oid, 'pg_policy'), ',')
    FROM pg_policy)) FROM pg_policies
UNION ALL
SELECT 'table', format('%s %s %s %s %s %s', oid::regclass, relowner::regrole, relacl, relrowsecurity, relreplident,
    obj_description(oid)) FROM pg_class WHERE oid::regclass::text LIKE 'green_tripdata%' AND relkind IN ('r', 'p')
ORDER BY 1, 2
"""


def test_what_people_have_made_of_it_goes_over(
    earlier: psycopg.Connection[Any], green: Source, files: Files, role: str
) -> None:
    by_hand(earlier, MADE.replace("role_name", role))
    described, before = query(earlier, DESCRIBED), rows(earlier, green)
    sums = query(earlier, "SELECT sum(total) FROM public.sums")

    bring_over(earlier, green)

    assert query(earlier, DESCRIBED) == described
    assert rows(earlier, green) == before
    assert query(earlier, "SELECT sum(total) FROM public.sums") == sums
    assert query(earlier, "SELECT filename FROM public.sums ORDER BY 1") == [
        (green.filename(Month.parse(month)),) for month in MONTHS
    ]
    assert query(earlier, "SELECT count(*) FROM public.noted") == [(0,)]
    # Nothing else would count what the new table and the new columns hold.
    counted = (
        "SELECT count(*) FROM pg_stats WHERE tablename LIKE 'green_tripdata%' AND attname = 'filename' "
        "AND most_common_vals IS NOT NULL"
    )
    assert query(earlier, counted) == [(4,)]
    # And holds for months to come: the trigger fires, and the view shows them.
    assert load(earlier, green, "2019-04", files("2019-04"), "manual__new") == Counts(8, 0, 0)
    assert query(earlier, "SELECT count(*) FROM public.noted") == [(8,)]
    assert query(earlier, "SELECT count(*) FROM public.totals WHERE filename = 'green_tripdata_2019-04.csv'") != [(0,)]


def test_its_ledger_is_read_before_a_load_brings_it_over(earlier: psycopg.Connection[Any], green: Source) -> None:
    """By the board, and by the commands that one gives before the first load of a new version."""
    warehouse = PostgresMonths(earlier, purpose="status")

    recorded, last = warehouse.months(green), warehouse.last_loads([green])["green"]

    assert [str(month) for month in recorded] == list(MONTHS) == [str(month) for month in last]
    for month, found in recorded.items():
        assert (last[month].state, last[month].rows, last[month].layout) == ("published", found.rows, None)
        assert (found.layout, found.unpacked_bytes) == (None, None)
        assert [each.state for each in warehouse.attempts(green, month, 5)] == ["published"]
    assert list(warehouse.states(green)) == list(last)
    assert len(warehouse.past_loads(green)) == len(MONTHS)
    rejected = warehouse.rejected(green, Month(2019, 2))
    assert rejected is not None
    assert len(rejected.lines) == 1
    with pytest.raises(errors.MainTableError, match="load any month of green, which brings the table over"):
        warehouse.verify(green, Month(2019, 1))


def test_a_comparison_says_that_a_load_brings_the_table_over(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    def read() -> str:
        with PostgresMonths(earlier).reading(green, Month(2019, 1)) as month:
            return str(month.sums()["row_count"])

    with pytest.raises(errors.MainTableError, match="load any month of green, which brings the table over"):
        read()
    fetched(earlier, green, "2019-01", files)

    assert int(read()) > 0


OBSTACLES = {
    "a primary key": (
        f"ALTER TABLE {MAIN} ADD PRIMARY KEY (unique_row_id, filename); "
        f"COMMENT ON CONSTRAINT green_tripdata_pkey ON {MAIN} IS 'the key'",
        r"the constraint green_tripdata_pkey \(PRIMARY KEY \(unique_row_id, filename\)\)",
    ),
    "a unique index": (
        f"CREATE UNIQUE INDEX once ON {MAIN} (filename, unique_row_id, total_amount); "
        "COMMENT ON INDEX public.once IS 'once'",
        r"the unique index public\.once",
    ),
    "a foreign key to it": (
        f"ALTER TABLE {MAIN} ADD PRIMARY KEY (unique_row_id, filename); CREATE TABLE public.notes (id uuid, file text, "
        f"FOREIGN KEY (id, file) REFERENCES {MAIN})",
        r"constraint notes_id_file_fkey on table public\.notes",
    ),
    "a CHECK on its filename": (
        f"ALTER TABLE {MAIN} ADD CONSTRAINT zipped CHECK (filename LIKE '%.gz')",
        r"the constraint zipped \(CHECK",
    ),
    "a CHECK on a partition's filename": (
        f"ALTER TABLE {JANUARY} ADD CONSTRAINT zipped CHECK (filename LIKE '%.gz')",
        r"the constraint zipped \(CHECK",
    ),
    "a rule": (
        f"CREATE TABLE public.noted (what text); CREATE RULE note AS ON INSERT TO {MAIN} DO ALSO "
        "INSERT INTO public.noted VALUES (NEW.filename)",
        "the rule note",
    ),
    "a rule of a partition": (
        f"CREATE TABLE public.noted (what text); CREATE RULE note AS ON INSERT TO {JANUARY} DO ALSO "
        "INSERT INTO public.noted VALUES (NEW.filename)",
        r"rule note on table public\.green_tripdata_2019_01",
    ),
    "a rule of a view": (
        f"CREATE VIEW public.trips AS SELECT vendorid FROM {MAIN}; CREATE RULE put AS ON INSERT TO public.trips DO "
        f"INSTEAD INSERT INTO {MAIN} (unique_row_id, filename) VALUES (gen_random_uuid(), 'a.csv.gz')",
        r"rule put on view public\.trips",
    ),
    "a trigger that a partition has disabled": (
        "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END' /* $$ */; "
        f"CREATE TRIGGER note BEFORE UPDATE ON {MAIN} FOR EACH ROW EXECUTE FUNCTION public.note(); "
        f"ALTER TABLE {JANUARY} DISABLE TRIGGER note",
        r"the trigger note, which is switched otherwise on public\.green_tripdata_2019_01",
    ),
    "a policy of a partition": (
        f"CREATE POLICY one ON {JANUARY} USING (filename LIKE '%.gz')",
        r"policy one on table public\.green_tripdata_2019_01",
    ),
    "a policy of another table": (
        f"CREATE TABLE public.noted (what text); CREATE POLICY one ON public.noted "
        f"USING (EXISTS (SELECT FROM {MAIN} WHERE filename = what))",
        r"policy one on table public\.noted",
    ),
    "a trigger of a partition": (
        "CREATE TABLE public.noted (what text); CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN NEW; END' /* $$ */; "
        f"CREATE TRIGGER note BEFORE UPDATE OF filename ON {JANUARY} FOR EACH ROW EXECUTE FUNCTION public.note()",
        r"trigger note on table public\.green_tripdata_2019_01",
    ),
    "a default of its rows": (
        f"CREATE TABLE public.noted (what text DEFAULT (NULL::{MAIN})::text)",
        r"default value for column what of table public\.noted",
    ),
    "a publication of its rows": (f"CREATE PUBLICATION taxi FOR TABLE {MAIN}", "the publication taxi"),
    "a publication of a few of its columns and rows": (
        f"CREATE PUBLICATION taxi FOR TABLE {MAIN} (vendorid, extra, unique_row_id) WHERE (vendorid = 1) "
        "WITH (publish = 'insert', publish_via_partition_root = true)",
        "the publication taxi",
    ),
    "a publication of a partition's filename": (
        f"CREATE PUBLICATION taxi FOR TABLE {JANUARY} (filename, extra), {FEBRUARY} WITH (publish = 'insert')",
        r"the publication taxi of public\.green_tripdata_2019_01; expected",
    ),
    "a sequence of a column": (
        f"CREATE SEQUENCE public.numbers OWNED BY {MAIN}.vendorid; "
        f"ALTER TABLE {MAIN} ALTER vendorid SET DEFAULT nextval('public.numbers')",
        r"the sequence public\.numbers of the column public\.green_tripdata\.vendorid",
    ),
    "a sequence of a partition's filename": (
        f"CREATE SEQUENCE public.numbers OWNED BY {JANUARY}.filename",
        r"the sequence public\.numbers of the column public\.green_tripdata_2019_01\.filename",
    ),
    "a view of whole rows, and a view of that": (
        f"CREATE VIEW public.whole AS SELECT t AS trip FROM {MAIN} AS t; "
        "CREATE VIEW public.part WITH (security_barrier = true) AS SELECT (trip).extra FROM public.whole; "
        "GRANT SELECT ON public.whole TO PUBLIC; GRANT SELECT (extra) ON public.part TO PUBLIC",
        r"view public\.part; view public\.whole",
    ),
    "materialized views and views of each other": (
        f"CREATE MATERIALIZED VIEW public.totals WITH (fillfactor = 70) AS SELECT filename, sum(total_amount) AS total "
        f"FROM {MAIN} GROUP BY 1; CREATE UNIQUE INDEX by_name ON public.totals (filename); "
        "COMMENT ON MATERIALIZED VIEW public.totals IS 'totals'; COMMENT ON COLUMN public.totals.total IS 'a total'; "
        "GRANT SELECT ON public.totals TO PUBLIC; ALTER MATERIALIZED VIEW public.totals OWNER TO pg_monitor; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor; "
        'CREATE MATERIALIZED VIEW public."a Total" AS SELECT max(total) AS most FROM public.totals; '
        f'CREATE VIEW public.aside AS SELECT most, vendorid FROM public."a Total", {MAIN}; '
        'CREATE VIEW public.first WITH (security_barrier = true) AS SELECT most FROM public."a Total" '
        "JOIN public.totals ON most = total WHERE most > 0; COMMENT ON VIEW public.first IS 'the most'; "
        f"CREATE MATERIALIZED VIEW public.later AS SELECT extra FROM {MAIN} WITH NO DATA",
        r'view public\.aside; view public\.first; materialized view public\."a Total"; '
        r"materialized view public\.later; materialized view public\.totals; expected",
    ),
    "a column of its rows' type": (
        f"CREATE TABLE public.audit (number int, trip {MAIN}); "
        f"INSERT INTO public.audit SELECT 1, trip FROM {MAIN} AS trip LIMIT 1",
        r"column trip of table public\.audit",
    ),
    "a member of its rows' type": (
        f"CREATE TYPE public.pair AS (number int, trip {MAIN})",
        r"column trip of composite type public\.pair",
    ),
    "a materialized view": (
        f"CREATE MATERIALIZED VIEW public.totals AS SELECT sum(total_amount) FROM {MAIN}",
        r"materialized view public\.totals",
    ),
    "a view of a partition's filename": (
        f"CREATE VIEW public.names WITH (check_option = local) AS SELECT filename FROM {JANUARY} "
        "WHERE filename <> 'a'; COMMENT ON VIEW public.names IS 'names'; GRANT SELECT ON public.names TO PUBLIC",
        r"view public\.names",
    ),
    "a function of its rows": (
        f"CREATE FUNCTION public.price({MAIN}) RETURNS numeric LANGUAGE sql AS 'SELECT $1.total_amount'",
        r"function public\.price\(public\.green_tripdata\)",
    ),
    "a function that names it": (
        "CREATE FUNCTION public.price() RETURNS numeric BEGIN ATOMIC "
        f"SELECT sum(total_amount) FROM {MAIN}; END; REVOKE ALL ON FUNCTION public.price() FROM PUBLIC; "
        "COMMENT ON FUNCTION public.price() IS 'all' /* $$ */",
        r"function public\.price\(\)",
    ),
    "a default partition": (
        f"CREATE TABLE public.rest PARTITION OF {MAIN} DEFAULT",
        r"the partition public\.rest, which isn't that of one file green_tripdata_\{month\}\.csv\.gz",
    ),
    "a partition of several files": (
        f"CREATE TABLE public.several PARTITION OF {MAIN} FOR VALUES IN "
        "('green_tripdata_2020-02.csv.gz', 'green_tripdata_2020-03.csv.gz')",
        r"the partition public\.several, which isn't that of one file",
    ),
    "a partition that is partitioned itself": (
        f"CREATE TABLE public.deep PARTITION OF {MAIN} FOR VALUES IN ('green_tripdata_2020-02.csv.gz') "
        "PARTITION BY HASH (vendorid)",
        r"the partition public\.deep, which is partitioned itself",
    ),
}
"""What can't be brought over; and how it is said."""


KEPT = {
    "a rule": ("CREATE RULE note AS",),
    "a rule of a partition": ("CREATE RULE note AS",),
    "a policy of a partition": ("CREATE POLICY one ON public.green_tripdata_2019_01",),
    "a policy of another table": ("CREATE POLICY one ON public.noted",),
    "a trigger of a partition": ("CREATE TRIGGER note BEFORE UPDATE OF filename",),
    "a function of its rows": ("CREATE FUNCTION public.price(public.green_tripdata)",),
    "a function that names it": (
        "CREATE FUNCTION public.price()", "REVOKE ALL ON FUNCTION public.price() FROM PUBLIC",
        "COMMENT ON FUNCTION public.price() IS 'all'", "ALTER FUNCTION public.price() OWNER TO postgres",
    ),
    "a CHECK on its filename": ("CONSTRAINT zipped CHECK",),
    "a rule of a view": ("CREATE RULE put AS",),
}  # fmt: skip
"""What the dump holds that an error advises, of what it has no statement for."""

RESTORING = {
    "a primary key": f"COMMENT ON CONSTRAINT green_tripdata_pkey ON {MAIN} IS 'the key';",
    "a unique index": "COMMENT ON INDEX public.once IS 'once';",
}
"""Statements that an error gives to run afterwards."""

RESTORED = {
    "a trigger that a partition has disabled",
    "a publication of its rows", "a publication of a few of its columns and rows", "a sequence of a column",
    "a publication of a partition's filename", "a sequence of a partition's filename",
    "a view of whole rows, and a view of that", "materialized views and views of each other", "a materialized view",
    "a view of a partition's filename",
}  # fmt: skip
"""What is as it was, once the statements of an error have been run."""


def remedies(message: str) -> tuple[str, str]:
    """Return the statements that an error gives to run before and afterwards."""
    before = re.search(r"make psql AS=postgres\), (.*?) and load a month again", message)
    after = re.search(r"Afterwards, run (.*?)(psql --file=views_\S+ \S+)?$", message)
    assert before is not None
    return before[1], after[1].strip() if after else ""


@pytest.fixture
def in_shell(connect: Connect, postgres_server: PostgresServer, tmp_path: Path) -> Callable[[str], None]:
    """Run a command of Postgres, as an error gives it."""
    path = f"{binary('pg_dump').parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PGHOST": str(postgres_server.socket_folder), "PGUSER": "postgres"}

    def run(command: str) -> None:
        command = command.replace("psql ", "psql --no-psqlrc --set=ON_ERROR_STOP=1 ")
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, env={**environment, "PGOPTIONS": ""})

    return run


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_cannot_go_over_is_named_before_anything_is_changed(
    name: str,
    earlier: psycopg.Connection[Any],
    green: Source,
    files: Files,
    in_shell: Callable[[str], None],
    tmp_path: Path,
) -> None:
    made, said = OBSTACLES[name]
    by_hand(earlier, made)
    described, before, names = query(earlier, DESCRIBED), rows(earlier, green), query(earlier, EARLIER_NAMES)

    with pytest.raises(errors.MainTableError, match=f"can't be brought over: found .*{said}") as caught:
        fetched(earlier, green, "2019-01", files)

    assert "Nothing was changed" in str(caught.value)
    assert query(earlier, DESCRIBED) == described
    assert (rows(earlier, green), query(earlier, EARLIER_NAMES)) == (before, names)
    (entry,) = query(earlier, "SELECT state, error FROM taxiway.loads WHERE run_id = 'again'")
    assert entry == ("failed", f"download_month: {caught.value}")
    # What the error advises works, and so does what it says to run afterwards.
    remedy, restoring = remedies(str(caught.value))
    keeping = re.findall(r"\((pg_dump [^()]*)\)", str(caught.value))
    assert keeping
    for command in keeping:
        in_shell(command)
    by_hand(earlier, remedy)
    assert fetched(earlier, green, "2019-01", files).nothing_to_do is not None
    assert RESTORING.get(name, "") in restoring
    by_hand(earlier, restoring or "SELECT 1")
    if command := re.search(r"psql --file=views_\S+ \S+$", str(caught.value)):
        in_shell(command[0])
    assert rows(earlier, green) == before
    if name in RESTORED:
        assert query(earlier, DESCRIBED) == described
    # What the error has no statement for is kept whole.
    (kept,) = (path.read_text() for path in tmp_path.glob("before_*.sql"))
    assert all(statement in kept for statement in KEPT.get(name, ()))
    # What names source_month in place of filename then holds for a new month.
    assert load(earlier, green, "2019-04", files("2019-04"), "manual__new") == Counts(8, 0, 0)


@pytest.fixture
def loader(
    earlier: psycopg.Connection[Any], postgres_server: PostgresServer
) -> Iterator[Callable[[], psycopg.Connection[Any]]]:
    """Give the warehouse to a role that may do nothing else; return what connects as that role."""
    name = f"loader_{uuid.uuid4().hex[:8]}"
    tables = [
        table
        for (table,) in query(
            earlier,
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v') "
            "AND relnamespace::regnamespace::text IN ('public', 'taxiway')",
        )
    ]
    by_hand(
        earlier,
        f"CREATE ROLE {name} LOGIN; GRANT CREATE ON SCHEMA public TO {name}; "
        f"ALTER SCHEMA taxiway OWNER TO {name}; ALTER SCHEMA taxiway_staging OWNER TO {name}; "
        + "; ".join(f"ALTER TABLE {table} OWNER TO {name}" for table in tables),
    )
    opened: list[psycopg.Connection[Any]] = []

    def connect() -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(host=str(postgres_server.socket_folder), user=name, dbname=earlier.info.dbname))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
    by_hand(earlier, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def test_the_loaders_role_suffices(
    loader: Callable[[], psycopg.Connection[Any]],
    earlier: psycopg.Connection[Any],
    green: Source,
    files: Files,
    role: str,
) -> None:
    connection = loader()
    by_hand(connection, f"CREATE VIEW public.totals AS SELECT * FROM {MAIN}; GRANT SELECT ON {MAIN} TO {role}")
    before = rows(earlier, green)

    assert fetched(connection, green, "2019-01", files).nothing_to_do is not None

    assert rows(earlier, green) == before
    assert query(earlier, f"SELECT has_table_privilege('{role}', '{MAIN}', 'SELECT')") == [(True,)]
    assert query(earlier, "SELECT count(*) FROM public.totals") == [(25,)]


@pytest.mark.parametrize("whose", ["an analyst's", "the superuser's"])
def test_a_view_of_another_role_is_named_with_what_lets_the_loader_replace_it(
    whose: str,
    loader: Callable[[], psycopg.Connection[Any]],
    earlier: psycopg.Connection[Any],
    green: Source,
    files: Files,
    role: str,
) -> None:
    connection = loader()
    owner = role if whose == "an analyst's" else "postgres"
    by_hand(
        earlier,
        f"GRANT SELECT ON {MAIN} TO {role}; CREATE SCHEMA reports AUTHORIZATION {owner}; "
        f"GRANT USAGE ON SCHEMA reports TO PUBLIC; CREATE VIEW reports.trips AS SELECT vendorid, filename FROM {MAIN}; "
        f"ALTER VIEW reports.trips OWNER TO {owner}; GRANT SELECT ON reports.trips TO PUBLIC",
    )
    rights = (
        "SELECT relowner::regrole::text, relacl::text, nspacl::text FROM pg_class, pg_namespace "
        "WHERE relname = 'trips' AND nspname = 'reports'"
    )
    described = query(earlier, rights)

    with pytest.raises(errors.MainTableError, match=rf"found the view reports\.trips of the role {owner};") as caught:
        fetched(connection, green, "2019-01", files)

    remedy, restoring = remedies(str(caught.value))
    by_hand(earlier, remedy)
    assert fetched(connection, green, "2019-01", files).nothing_to_do is not None
    by_hand(earlier, restoring)
    assert query(earlier, "SELECT count(*), max(filename) FROM reports.trips") == [(25, "green_tripdata_2019-03.csv")]
    assert query(earlier, rights) == described
    assert query(earlier, f"SELECT pg_has_role('{connection.info.user}', '{owner}', 'MEMBER')") == [(False,)]


def test_what_postgres_refuses_in_the_middle_leaves_everything_as_it_was(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    """A view of the earlier table is made once its partitions are detached and the new table is there."""
    by_hand(
        earlier,
        """
        CREATE FUNCTION public.make_late() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE aside regclass := (SELECT oid FROM pg_class WHERE relname LIKE 'earlier%');
        BEGIN
            IF aside IS NOT NULL THEN
                EXECUTE format('CREATE OR REPLACE VIEW public.late AS SELECT count(*) FROM %s', aside);
            END IF;
        END $$;
        CREATE EVENT TRIGGER make_late ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION public.make_late();
        """,
    )
    described, before, names = query(earlier, DESCRIBED), rows(earlier, green), query(earlier, EARLIER_NAMES)

    with pytest.raises(
        errors.MainTableError, match=r"public\.green_tripdata is an earlier version's.*Nothing was changed"
    ) as caught:
        fetched(earlier, green, "2019-01", files)

    # The table is named as its users know it.
    assert "view public.late depends on table public.green_tripdata" in str(caught.value)
    assert "earlier_" not in str(caught.value)
    assert query(earlier, DESCRIBED) == described
    assert (rows(earlier, green), query(earlier, EARLIER_NAMES)) == (before, names)
    assert query(earlier, "SELECT DISTINCT right(filename, 3) FROM taxiway.loads WHERE run_id <> 'again'") == [(".gz",)]
    by_hand(earlier, "DROP EVENT TRIGGER make_late")
    assert fetched(earlier, green, "2019-01", files).nothing_to_do is not None
    assert rows(earlier, green) == before


@pytest.mark.parametrize("mode", ["ACCESS SHARE", "ROW EXCLUSIVE"])
def test_a_session_that_keeps_a_partition_is_named_and_nothing_is_changed(
    mode: str,
    earlier: psycopg.Connection[Any],
    connect: Connect,
    green: Source,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "1s")
    other = connect()
    other.execute("SET application_name = 'a report'")
    other.execute(f"LOCK TABLE {MARCH} IN {mode} MODE")
    described = query(earlier, DESCRIBED)

    with pytest.raises(
        errors.TransientWarehouseError, match=r"waited for it and its partitions, 1s.*: a report \(role postgres"
    ):
        fetched(earlier, green, "2019-01", files)

    assert query(earlier, DESCRIBED) == described
    other.rollback()
    assert fetched(earlier, green, "2019-01", files).nothing_to_do is not None


def test_a_reader_who_begins_to_write_goes_first(
    earlier: psycopg.Connection[Any], connect: Connect, green: Source, files: Files
) -> None:
    """A lock that is made stronger in the middle would be a deadlock."""
    reader, watcher = connect(), connect()
    reader.execute(f"SELECT count(*) FROM {MAIN}")
    waits = f"SELECT count(*) FROM pg_locks WHERE relation = '{MAIN}'::regclass AND NOT granted"

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load, earlier, green, "2019-04", files("2019-04"), "manual__new")
        wait_until(lambda: query(watcher, waits) != [(0,)] or loading.done(), timeout=60, what="the load to wait")
        reader.execute(f"DELETE FROM {MARCH}")
        reader.commit()

        assert loading.result() == Counts(8, 0, 0)
    assert query(watcher, f"SELECT count(*) FROM {MAIN}") == [(9 + 8 + 8,)]


def test_what_is_more_than_a_message_holds_is_named_by_the_next(
    earlier: psycopg.Connection[Any],
    green: Source,
    files: Files,
    in_shell: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next error's files don't replace the first's, and its views come back first."""
    made = [f"CREATE VIEW public.whole_{n:02} AS SELECT t AS trip FROM {MAIN} AS t" for n in range(25)]
    made += [f"CREATE VIEW public.part_{n:02} AS SELECT (trip).extra FROM public.whole_{n:02}" for n in range(25)]
    by_hand(earlier, "; ".join(made))
    described = query(earlier, DESCRIBED)
    restoring: list[str] = []
    moments = iter(range(100))
    monkeypatch.setattr("taxiway.warehouses.postgres.bring_over._now", lambda: f"t{next(moments)}")

    for _ in range(20):
        try:
            assert fetched(earlier, green, "2019-01", files).nothing_to_do is not None
            break
        except errors.MainTableError as error:
            message = str(error)
        assert query(
            earlier, "SELECT right(error, 20) FROM taxiway.loads ORDER BY finished_at DESC NULLS LAST LIMIT 1"
        ) == [(message[-20:],)]
        assert len(message) <= LONGEST_MESSAGE - len("download_month: ")
        for command in re.findall(r"\((pg_dump [^()]*)\)", message):
            in_shell(command)
        by_hand(earlier, remedies(message)[0])
        restoring.append(re.findall(r"psql --file=views_\S+ \S+$", message)[0])

    assert len(restoring) > 2
    for command in reversed(restoring):
        in_shell(command)
    assert query(earlier, DESCRIBED) == described


def test_indexes_stay_in_their_tablespaces(earlier: psycopg.Connection[Any], green: Source) -> None:
    by_hand(
        earlier,
        "SET allow_in_place_tablespaces = on; CREATE TABLESPACE roomy_for_0_1_0 LOCATION ''; "
        f"CREATE INDEX by_total ON {MAIN} (total_amount) TABLESPACE roomy_for_0_1_0; "
        f"CREATE INDEX own ON {JANUARY} (filename, total_amount) TABLESPACE roomy_for_0_1_0; "
        f"ALTER TABLE {MAIN} SET TABLESPACE roomy_for_0_1_0",
    )
    try:
        described = query(earlier, DESCRIBED)

        bring_over(earlier, green)

        assert query(earlier, DESCRIBED) == described
        assert str(described).count("roomy_for_0_1_0") == 5
        assert query(earlier, f"SELECT reltablespace <> 0 FROM pg_class WHERE oid = '{MAIN}'::regclass") == [(True,)]
    finally:
        earlier.rollback()
        by_hand(earlier, f"DROP TABLE {MAIN}; DROP TABLESPACE roomy_for_0_1_0")


def test_the_ledger_of_a_table_that_is_gone_is_renamed_when_it_is_made_again(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    by_hand(earlier, f"DROP TABLE {MAIN}")

    assert load(earlier, green, "2019-01", files("2019-01"), "again") == Counts(8, 0, 0)

    assert query(earlier, "SELECT DISTINCT filename FROM taxiway.loads ORDER BY 1") == [
        (green.filename(Month.parse(month)),) for month in MONTHS
    ]


def test_rows_that_somebody_has_changed_are_not_taken_for_unchanged(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    by_hand(earlier, f"UPDATE {JANUARY} SET fare_amount = 1 WHERE ctid IN (SELECT ctid FROM {JANUARY} LIMIT 2)")

    assert fetched(earlier, green, "2019-01", files).nothing_to_do is None
    assert fetched(earlier, green, "2019-03", files).nothing_to_do is not None

    assert load(earlier, green, "2019-01", files("2019-01"), "again") == Counts(2, 2, 6)


def test_an_upgrade_in_the_middle_of_a_run_brings_over_what_merge_month_finds(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    tables = LoadTables(green, Month.parse("2019-04"), "manual__1")
    # Aside, while the steps before look at a table of their own.
    by_hand(earlier, f"ALTER TABLE {MAIN} RENAME TO aside")
    hash_rows(earlier, tables, stage_month(earlier, tables, source_file(files("2019-04"))))
    check_month(earlier, tables)
    by_hand(earlier, f"DROP TABLE {MAIN}; ALTER TABLE public.aside RENAME TO green_tripdata")
    before = rows(earlier, green)

    assert merge_month(earlier, tables) == Counts(8, 0, 0)

    assert set(before) < set(rows(earlier, green))
    assert query(earlier, f"SELECT DISTINCT source_month::text FROM {MAIN} ORDER BY 1") == [
        (f"2019-0{n}-01",) for n in (1, 2, 3, 4)
    ]


def test_rows_that_an_earlier_version_has_staged_are_staged_again(
    connect: Connect, green: Source, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect()
    tables = LoadTables(green, Month.parse("2019-01"), "manual__1")
    staged = stage_month(connection, tables, source_file(files("2019-01")))
    by_hand(connection, f"ALTER TABLE {tables.staging_table} DROP COLUMN source_month")

    hash_rows(connection, tables, staged)

    assert "is an earlier version's, expected what stage_month left there" in caplog.text
    check_month(connection, tables)
    assert merge_month(connection, tables) == Counts(8, 0, 0)


def test_a_table_with_other_columns_is_named_for_its_columns(
    earlier: psycopg.Connection[Any], green: Source, files: Files
) -> None:
    by_hand(earlier, f"ALTER TABLE {MAIN} ADD COLUMN mine text")

    with pytest.raises(errors.MainTableError, match="found mine text, which the source doesn't have") as caught:
        fetched(earlier, green, "2019-01", files)

    (remedy,) = re.findall(r"Run (CREATE TABLE .*); or give", str(caught.value))
    by_hand(earlier, remedy)
    assert fetched(earlier, green, "2019-03", files).nothing_to_do is not None
    assert query(earlier, f"SELECT pg_get_partkeydef('{MAIN}'::regclass)") == [("LIST (source_month)",)]


def test_a_file_of_another_name_gives_its_rows_that_name(connect: Connect, green: Source, files: Files) -> None:
    """Somebody has changed the key file in the YAML file."""
    connection = connect()
    load(connection, green, "2019-01", files("2019-01"), "manual__1")
    before = table_digest(connection, green)
    renamed = from_path(green, "green/trips_{month}.csv.gz")

    assert fetched(connection, renamed, "2019-01", files, "manual__2").nothing_to_do is None
    assert load(connection, renamed, "2019-01", files("2019-01"), "manual__2") == Counts(8, 8, 0)

    assert table_digest(connection, green) == before
    assert query(connection, NAMES) == [("green_tripdata_2019_01", "trips_2019-01.csv", "2019-01-01", 8)]
    assert fetched(connection, renamed, "2019-01", files, "manual__3").nothing_to_do is not None
    assert (
        re.findall(
            r"green_tripdata_\S+", str(query(connection, f"EXPLAIN SELECT FROM {MAIN} WHERE filename = 'x.csv'"))
        )
        == []
    ), "its constraint tells the planner its name still"
