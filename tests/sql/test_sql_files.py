"""Every SQL file renders with what its header lists and nothing else, and runs on a real Postgres."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import psycopg
import pytest

from taxiway.paths import SOURCES_FOLDER, SQL_FOLDER
from taxiway.sources.source import load_source
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.sql import environment, literal, render
from tests.conftest import Connect
from tests.loading import load, write_gzip
from tests.sql.rendered import GREEN, OWN, RUN, TABLES, file_names, rendered

NAMES = file_names()
ZONES = load_source(SOURCES_FOLDER / "zones.yaml")


def test_there_are_files() -> None:
    assert len(NAMES) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_grain_parameters_and_why_twice_is_safe(name: str) -> None:
    text = rendered(name)
    comment = "".join(line for line in text.splitlines() if line.startswith("--"))

    for word in ("Grain:", "Parameters:", "Twice:"):
        assert word in comment, f"{name} lacks {word} in its header"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_that_the_header_lists(name: str) -> None:
    source = (SQL_FOLDER / name).read_text()
    header = " ".join(line[2:].strip() for line in source.splitlines() if line.startswith("--"))
    listed = set(re.findall(r"\w+", header.partition("Parameters:")[2].partition("Twice:")[0]))
    used = jinja2.meta.find_undeclared_variables(environment().parse(source))
    bound = set(re.findall(r"%\((\w+)\)s", source))

    assert used | bound <= listed | {"none"}, f"{name}: {sorted((used | bound) - listed)} not in the header"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_parameter_is_an_error(name: str) -> None:
    stem = Path(name).stem
    used = jinja2.meta.find_undeclared_variables(environment().parse((SQL_FOLDER / name).read_text()))
    for left_out in used:
        given = {key: value for key, value in {**RUN, **OWN.get(stem, {})}.items() if key != left_out}
        with pytest.raises(jinja2.UndefinedError, match=left_out):
            render(name, **given)


def test_no_statement_takes_all_columns_of_a_table_into_another() -> None:
    for name in NAMES:
        assert not re.search(r"SELECT\s+\*", rendered(name)), name


def test_a_literal_ends_where_it_should(connect: Connect) -> None:
    text = "it's 100% \\ \"x\" '; DROP TABLE y; --"
    with transaction(connect()) as cursor:
        assert cursor.execute(f"SELECT {literal(text)}").fetchone() == (text,)


# What makes roles of the whole server runs in tests/integration/test_roles.py.
@pytest.mark.parametrize(
    "name", [name for name in NAMES if not name.endswith(("/stage_month.sql", "/set_up_warehouse.sql"))]
)
def test_every_file_runs_in_the_order_of_a_load(name: str, connect: Connect, tmp_path: Path) -> None:
    """After a load that stopped before publishing, every statement finds what it needs."""
    connection = connect()
    row = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
    path = write_gzip(tmp_path / "green.csv.gz", [",".join(c.header for c in GREEN.columns), row])
    of_published = (
        "lock_partition",
        "restore_index",
        "sum_up_partition",
        "find_differences",
        "count_differences",
        "merge_month",
    )
    if Path(name).stem in of_published:
        load(connection, GREEN, "2019-01", path, run_id="an earlier run")
    prepare(connection, tmp_path, row, with_rows=not name.endswith(("/index_rows.sql", "/hash_rows.sql")))

    with transaction(connection) as cursor:
        if name.endswith("/index_rows.sql"):
            cursor.execute(rendered("postgres/hash_rows.sql"), VALUES)
        if name.endswith("/bring_over_partition.sql"):
            cursor.execute(f"CREATE TABLE {RUN['partition']} (filename text)")
        if name.endswith("/adopt_canonical_rows.sql"):
            cursor.execute(rendered("postgres/create_canonical_staging_table.sql"), VALUES)
        if name.endswith(("/publish_month.sql", "/insert_rows.sql")):
            cursor.execute(rendered("postgres/create_empty_partition.sql"))
        if name.endswith(("/count_differences.sql", "/merge_month.sql")):
            cursor.execute(rendered("postgres/find_differences.sql"))
        if name.endswith(("/summarize_month.sql", "/sum_up_summary.sql")):
            cursor.execute(rendered("postgres/create_monthly_zone_summary.sql"))
            zones = {"main_table": ZONES.main_table, "columns": ZONES.columns, "title": ZONES.title}
            cursor.execute(render("postgres/create_main_table.sql", **zones))
        cursor.execute(rendered(name), VALUES)


VALUES: dict[str, Any] = {
    "filename": GREEN.filename(TABLES.month),
    "most": 5,
    "longest": 101,
    "table_name": f"public.{GREEN.main_table}",
    "schema_name": "public",
    "holder_name": "notes",
    "constraint_name": "notes_id_file_fkey",
    "source": GREEN.name,
    "sources": [GREEN.name],
    "month": TABLES.month.first_day,
    "months": [TABLES.month.first_day],
    "first": TABLES.month.first_day,
    "last": TABLES.month.first_day,
    "destination": "postgres",
    "run_id": TABLES.run_id,
    "state": "running",
    "rows_read": 1,
    "rows_rejected": 0,
    "url": "http://mirror.test/x",
    "etag": None,
    "last_modified": None,
    "bytes": 1,
    "error": None,
    "sha256": "0" * 64,
    "started_at": "2026-01-01 00:00:00+00",
    "longest_run": timedelta(hours=24),
    "longest_pause": timedelta(hours=8),
    "longest_wait": timedelta(minutes=2),
    "lock_name": "taxiway/month/green/2019-01",
    "load_name": "taxiway green 2019-01 manual__1",
    "table_names": ["taxiway.loads"],
    "weakest_modes": ["RowShareLock"],
    "publishes": True,
    "attaches": True,
    "first_day": TABLES.month.first_day,
    "next_first_day": TABLES.month.next().first_day,
    "month_before": TABLES.month.previous().first_day,
    "month_after": TABLES.month.next().first_day,
    "try_number": 1,
    "load_id": 1,
    "load_ids": [1],
    "attempt": 2,
    "step": "hash_rows",
    **TABLES.rules,
    "digest": "0" * 32,
    "earlier_digest": "1" * 32,
    "partition": f"public.{TABLES.partition_name}",
    "before": None,
    "line_number": 3,
    "raw_line": "x",
    "reason": "no row",
    "part": "0a",
    "row_addresses": ["(0,1)"],
    "duplicate_ids": ["0" * 32],
    "partition_index": TABLES.partition_index,
    "partition_name": f"public.{TABLES.partition_name}",
    "column_names": ["unique_row_id"],
    "warehouse": "postgres",
    "connection": "tlc_mirror",
    "decision": "unchanged",
    "is_there": True,
    "checked_at": "2026-01-01 00:00:00+00",
}


def prepare(connection: psycopg.Connection[Any], folder: Path, row: str, *, with_rows: bool) -> None:
    """Create what a load creates before it publishes, with one staged row."""
    values = {"columns": GREEN.columns, "main_table": GREEN.main_table, "title": GREEN.title}
    with transaction(connection) as cursor:
        cursor.execute(render("postgres/create_ledger.sql"))
        cursor.execute(render("postgres/create_watched_files.sql"))
        cursor.execute(render("postgres/create_main_table.sql", **values))
        cursor.execute(rendered("postgres/start_load.sql"), {**VALUES, "attempt": 1})
        cursor.execute(rendered("postgres/create_staging_table.sql"))
        with cursor.copy(rendered("postgres/stage_month.sql")) as copy:
            copy.write(f"{row}\n")
        if with_rows:
            cursor.execute(rendered("postgres/hash_rows.sql"), VALUES)
            cursor.execute(rendered("postgres/index_rows.sql"), VALUES)
