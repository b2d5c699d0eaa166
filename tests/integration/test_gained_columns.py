"""A main table of Postgres gains a column: nothing is rewritten, and what refers to it stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect
from tests.loading import lines_of, load, write_gzip

FEE = Column("cbd_fee", "cbd_fee", "numeric", "it's in US dollars", since=Month(2019, 3))

MADE_BY_PEOPLE = """
CREATE ROLE {role};
CREATE INDEX of_mine ON public.green_tripdata (fare_amount);
CREATE VIEW public.fares AS SELECT unique_row_id, fare_amount FROM public.green_tripdata;
CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER keep BEFORE INSERT ON public.green_tripdata FOR EACH ROW EXECUTE FUNCTION public.keep();
ALTER TABLE public.green_tripdata ADD CONSTRAINT positive CHECK (trip_distance > -1000);
ALTER TABLE public.green_tripdata ADD PRIMARY KEY (source_month, unique_row_id);
CREATE TABLE public.notes (source_month date, unique_row_id uuid,
    FOREIGN KEY (source_month, unique_row_id) REFERENCES public.green_tripdata);
INSERT INTO public.notes SELECT source_month, unique_row_id FROM public.green_tripdata LIMIT 5;
GRANT SELECT (fare_amount) ON public.green_tripdata TO {role};
COMMENT ON TABLE public.green_tripdata IS 'mine';
"""

REFERRING = """
SELECT 'index', indexname::text, indexdef FROM pg_indexes WHERE tablename = 'green_tripdata'
UNION ALL SELECT 'view', 'fares', pg_get_viewdef('public.fares'::regclass)
UNION ALL SELECT 'trigger', tgname::text, pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgrelid = 'public.green_tripdata'::regclass AND NOT tgisinternal
UNION ALL SELECT 'constraint', conname::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid IN ('public.green_tripdata'::regclass, 'public.notes'::regclass)
    AND confrelid IN (0, 'public.green_tripdata'::regclass)
UNION ALL SELECT 'grant', attname::text, attacl::text FROM pg_attribute
    WHERE attrelid = 'public.green_tripdata'::regclass AND attacl IS NOT NULL
UNION ALL SELECT 'comment', 'table', obj_description('public.green_tripdata'::regclass)
UNION ALL SELECT 'rows', 'notes', count(*)::text FROM public.notes
ORDER BY 1, 2
"""

FILES = """
SELECT inhrelid::regclass::text, pg_relation_filenode(inhrelid) FROM pg_inherits
WHERE inhparent = 'public.green_tripdata'::regclass ORDER BY 1
"""


def query(connection: psycopg.Connection[Any], statement: str) -> list[tuple[Any, ...]]:
    with connection.transaction():
        return connection.execute(statement).fetchall()


@pytest.fixture
def gaining(green: Source) -> Source:
    return replace(green, columns=(*green.columns, FEE), checks=())


def sample(folder: Path, source: Source, month: Month) -> Path:
    path = folder / source.download_name(month)
    write_sample_month(source, month, path, rows=50)
    return path


def test_nothing_is_rewritten_and_what_refers_to_the_table_stays(
    connect: Connect, green: Source, gaining: Source, tmp_path: Path
) -> None:
    connection = connect()
    months = [Month(2019, 1), Month(2019, 2)]
    files = {month: sample(tmp_path, green, month) for month in months}
    for month in months:
        load(connection, green, str(month), files[month])
    role = f"reader_{connection.info.dbname}"
    with connection.transaction():
        connection.execute(MADE_BY_PEOPLE.format(role=role))
    try:
        referring, on_disk = query(connection, REFERRING), query(connection, FILES)
        header, *rows = lines_of(sample(tmp_path, green, Month(2019, 3)))
        late = write_gzip(tmp_path / "late.csv.gz", [f"{header},cbd_fee", *(f"{row},0.75" for row in rows)])

        assert load(connection, gaining, "2019-03", late).inserted == 50

        assert query(connection, REFERRING) == referring
        assert query(connection, FILES)[:2] == on_disk
        assert query(
            connection, "SELECT source_month::text, sum(cbd_fee)::text FROM public.green_tripdata GROUP BY 1 ORDER BY 1"
        ) == [("2019-01-01", None), ("2019-02-01", None), ("2019-03-01", "37.50")]
        described = (
            "SELECT col_description(attrelid, attnum) FROM pg_attribute "
            "WHERE attrelid = 'public.green_tripdata'::regclass AND attname = 'cbd_fee'"
        )
        assert query(connection, described) == [("it's in US dollars",)]
        for month in months:
            assert load(connection, gaining, str(month), files[month], "manual__2").unchanged == 50
        assert query(connection, "SELECT warnings FROM taxiway.loads WHERE run_id = 'manual__2'") == [([],), ([],)]
        assert query(connection, FILES)[:2] == on_disk
    finally:
        with connection.transaction():
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_change_by_hand_is_found_in_a_month_from_before_the_column(
    connect: Connect, green: Source, gaining: Source, tmp_path: Path
) -> None:
    connection = connect()
    month = Month(2019, 2)
    file = sample(tmp_path, green, month)
    load(connection, green, str(month), file)
    header, *rows = lines_of(sample(tmp_path, green, Month(2019, 3)))
    late = write_gzip(tmp_path / "late.csv.gz", [f"{header},cbd_fee", *(f"{row},0.75" for row in rows)])
    load(connection, gaining, "2019-03", late)
    with connection.transaction():
        connection.execute("UPDATE public.green_tripdata SET cbd_fee = 1 WHERE source_month = '2019-02-01'")

    counts = load(connection, gaining, str(month), file, "manual__2")

    assert (counts.inserted, counts.deleted, counts.unchanged) == (50, 50, 0)
    assert query(connection, "SELECT count(cbd_fee) FROM public.green_tripdata WHERE source_month = '2019-02-01'") == [
        (0,)
    ]
