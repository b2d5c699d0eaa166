"""Google's analyzer and evaluator, as the tests use them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from stand_ins.zetasql_analyzer import Analysis, SqlError, _analyze, analyze, evaluate

TABLES = {
    "p-1.d.t": {"n": "INT64", "m": "NUMERIC", "at": "DATETIME", "s": "STRING", "day": "DATE", "w": "ARRAY<STRING>"}
}


@pytest.mark.parametrize("name", ["`p-1.d.t`", "`p-1`.d.t", "p-1.d.t"])
def test_names_types_and_columns_that_are_read(name: str) -> None:
    analysis = analyze(f"SELECT n, m * 2 AS m FROM {name} WHERE s = @s", TABLES, {"s": "STRING"})
    assert analysis == Analysis("Query", [("n", "INT64"), ("m", "NUMERIC")], {"p-1.d.t": ["n", "m", "s"]})


def test_statements_that_differ_in_names_of_tables_are_analysed_once() -> None:
    sql = "CREATE TABLE `p-1.d.made_{0}` AS SELECT n, '`p-1.d.t_{0}`' AS s FROM `p-1.d.t_{0}` JOIN `p-1.d.t` USING (n)"
    before = _analyze.cache_info()
    for name in ("a", "b"):
        shapes = {f"p-1.d.t_{name}": {"n": "INT64"}, **TABLES}
        found = analyze(sql.format(name), shapes)
        assert found == Analysis(
            "CreateTableAsSelect",
            [("n", "INT64"), ("s", "STRING")],
            {f"p-1.d.t_{name}": ["n"], "p-1.d.t": ["n"]},
        )
        with pytest.raises(SqlError, match=rf"Table not found: `p-1.d.u_{name}`"):
            analyze(f"SELECT 'x' AS x FROM `p-1.d.u_{name}`", TABLES)
    after = _analyze.cache_info()
    assert after.hits - before.hits == 0, "a text in them differs"
    other = sql.replace("'`p-1.d.t_{0}`'", "'x'")
    for name in ("a", "b"):
        analyze(other.format(name), {f"p-1.d.t_{name}": {"n": "INT64"}, **TABLES})
    assert _analyze.cache_info().hits - after.hits == 1
    with pytest.raises(SqlError, match="Column n in USING clause not found"):
        analyze(other.format("b"), {"p-1.d.t_b": {"m": "INT64"}, **TABLES})


def test_statements_that_change_or_define() -> None:
    assert analyze("TRUNCATE TABLE `p-1.d.t`", TABLES).kind == "Truncate"
    assert analyze("CREATE TABLE d.u PARTITION BY day AS SELECT n, day FROM `p-1.d.t`", TABLES).columns == [
        ("n", "INT64"),
        ("day", "DATE"),
    ]
    assert (
        analyze("MERGE `p-1.d.t` USING `p-1.d.t` AS s ON FALSE WHEN NOT MATCHED THEN INSERT ROW", TABLES).kind
        == "Merge"
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nothing FROM `p-1.d.t`", "Unrecognized name: nothing"),
        ("SELECT n FROM d.other", "Table not found: d.other"),
        ("SELECT n = s FROM `p-1.d.t`", "No matching signature"),
        ("INSERT INTO `p-1.d.t` (n) VALUES ('x')", "has type STRING which cannot be inserted into column n"),
        ("SELECT @unknown", "Query parameter 'unknown' not found"),
        ("SELECT FROM", "Syntax error"),
    ],
)
def test_errors_are_googles(sql: str, message: str) -> None:
    with pytest.raises(SqlError) as raised:
        analyze(sql, TABLES)
    assert message in str(raised.value)


def test_evaluates_on_rows() -> None:
    row = (1, Decimal("-7.5"), dt.datetime(2020, 1, 2, 3, 4, 5, 600000), "é", dt.date(2020, 1, 2), ["a", "b"])
    largest = (2**63 - 1, Decimal("99999999999999999999999999999.999999999"), None, None, None, None)
    sql = "SELECT n, m, `at`, s, day, w FROM `p-1.d.t` WHERE n >= @least ORDER BY n"
    given = evaluate(sql, TABLES, {"p-1.d.t": [largest, row]}, {"least": ("INT64", 1)})
    assert given == [row, largest]
    with pytest.raises(SqlError, match="division by zero"):
        evaluate("SELECT 1 / 0")


def test_leaves_nothing_in_the_home_folder(root: Path) -> None:
    analyze("SELECT 1")
    from stand_ins.zetasql_analyzer import cache_folder

    folder = cache_folder()
    assert not folder.is_relative_to(root)
    assert not folder.is_relative_to(Path.home()) or Path.home() == Path("/")
    assert folder.stat().st_mode & 0o077 == 0
