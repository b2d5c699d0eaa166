"""What the search for unreadable rows looks at: a month with one bad row must not cost many times a good one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render
from tests.conftest import Connect
from tests.integration.test_rejects import BAD, GOOD, lenient, month_file
from tests.loading import source_file, stage_month


def test_only_the_fields_of_unreadable_rows_are_looked_at_one_by_one(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    path = month_file(tmp_path, green, [GOOD] * 500 + [BAD["word"][0]] + [GOOD] * 500)
    tables = LoadTables(lenient(green), Month.parse("2019-01"), "manual__1")
    stage_month(connection, tables, source_file(path))
    connection.execute(f"ANALYZE {tables.staging_table}")
    connection.commit()
    search = render("postgres/find_unreadable_rows.sql", staging_table=tables.staging_table, columns=green.columns)

    explained = connection.execute("EXPLAIN (ANALYZE, FORMAT json) " + search, {"most": 10_000, "longest": 100})
    (((plan,),),) = explained.fetchall()

    fields = [node for node in nodes(plan["Plan"]) if node["Node Type"] == "Values Scan"]
    assert [(node["Actual Loops"], node["Actual Rows"]) for node in fields] == [(1, 1)]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Walk through a plan."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
