"""The stand-in's expressions give what Google's reference implementation gives, or are refused."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from typing import Any

import pytest

from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.errors import BigQueryError, RefusedError
from stand_ins.bigquery.queries import QueryOutcome, run_query
from stand_ins.zetasql_analyzer import SqlError, evaluate

NUMBERS = [
    "1", "-0", "+1", " 1", "1.0", "1e3", "", ".", ".79", "5.", "1_000", "1,000", "NaN", "x", "00012",
    "1.0000000005", "-1.0000000005", "1.0000000004", "9223372036854775807", "9223372036854775808",
    "12345678.123456789", "123456789.1", "99999999999999999999999999999.999999999",
    "100000000000000000000000000000", "-.5e2", "٣", "\\t1\\n",
]  # fmt: skip
CLOCKS = [
    "2020-01-02 03:04:05", "2020-1-2 3:4:5", "2020-01-02", "2020-01-02T03:04:05", "2020-01-02 03:04",
    "2020-01-02 03:04:05.5", "2020-01-02 03:04:05.123456", "2020-01-02 03:04:05.", "2020-01-02 24:00:00",
    "2020-02-30 03:04:05", "1/1/2019 0:46", " 2020-01-02 03:04:05", "2020-01-02 03:04:05 ",
    "2020-01-02 03:04:05Z", "2020-01-02  03:04:05", "20-01-02 03:04:05", "0000-01-02 03:04:05", "infinity", "",
]  # fmt: skip
OTHERS = r"""
CAST(NUMERIC '1.5' AS INT64)
CAST(NUMERIC '2.5' AS INT64)
CAST(NUMERIC '-2.5' AS INT64)
CAST(2.5 AS INT64)
CAST(3.5 AS INT64)
SAFE_CAST('true' AS BOOL)
SAFE_CAST('t' AS BOOL)
CAST(NUMERIC '7.500' AS STRING)
CAST(NUMERIC '7' AS STRING)
CAST(NUMERIC '0.79' AS STRING)
CAST(NUMERIC '-0.0' AS STRING)
CAST(NUMERIC '100' AS STRING)
CAST(NUMERIC '-120.050' AS STRING)
CAST(NUMERIC '0.000000001' AS STRING)
CAST(NUMERIC '99999999999999999999999999999.999999999' AS STRING)
CAST(12 AS STRING)
CAST(TRUE AS STRING)
CAST(DATE '2020-01-02' AS STRING)
CAST(DATETIME '2020-01-02 03:04:05' AS STRING)
CAST(DATETIME '2020-01-02 03:04:05.5' AS STRING)
CAST(DATETIME '2020-01-02 03:04:05.000001' AS STRING)
CAST(DATETIME '0999-01-02 03:04:05' AS STRING)
CAST(TIMESTAMP '2020-01-02 03:04:05 UTC' AS STRING)
CAST(DATETIME '2020-01-02 23:04:05' AS DATE)
CAST(DATE '2020-01-02' AS DATETIME)
SAFE_CAST('1.50' AS BIGNUMERIC) = NUMERIC '1.5'
SAFE_CAST('15e-1' AS BIGNUMERIC) = SAFE_CAST('15e-1' AS NUMERIC)
SAFE_CAST('1.0000000001' AS BIGNUMERIC) = SAFE_CAST('1.0000000001' AS NUMERIC)
SAFE_CAST('x' AS BIGNUMERIC) = NUMERIC '1'
FORMAT_DATETIME('%Y-%m-%d %H:%M:%S', DATETIME '2020-01-02 03:04:05.9')
FORMAT_DATETIME('%F %T', DATETIME '2020-01-02 03:04:05')
FORMAT_DATETIME('%E4Y-%m-%d %H:%M:%S', DATETIME '0999-01-02 03:04:05')
PARSE_DATETIME('%Y-%m-%d %H:%M:%S', '2020-01-02 03:04:05')
SAFE.PARSE_DATETIME('%F %T', 'x')
TO_HEX(MD5('abc'))
TO_HEX(MD5(CONCAT('a', '\x1f', 'b')))
MD5('é')
TO_HEX(SHA256('abc'))
TO_HEX(b'\x00\xff')
b'\x1f\xff'
'a\x1fb'
'\u00e9'
'\\N'
r'\N'
"it's"
CONCAT('a', CAST(NULL AS STRING))
CONCAT('a', 'b')
'a' || 'b'
IFNULL(CAST(NULL AS STRING), '\\N')
COALESCE(NULL, 'x', 'y')
NULLIF('', '')
IF(NULL, 'a', 'b')
CASE WHEN FALSE THEN 1 END
CASE 'x' WHEN 'x' THEN 1 ELSE 2 END
CODE_POINTS_TO_STRING([65, 255, 8364])
TO_CODE_POINTS('aé')
CHR(31)
LENGTH('é')
LENGTH(b'\xc3\xa9')
SUBSTR('abc', 2)
SUBSTR('abc', 2, 1)
SUBSTR('abc', 0)
SUBSTR('abc', -2)
UPPER('é')
TRIM('\ta\n ')
REPLACE('aXb', 'X', '-')
REPLACE('aXb', '', '-')
STRPOS('abc', 'c')
STRPOS('abc', 'x')
STARTS_WITH('abc', 'ab')
ENDS_WITH('abc', 'bc')
'abc' LIKE 'a%'
REGEXP_CONTAINS('abc', 'b')
REGEXP_CONTAINS('a\nb', 'a.b')
REGEXP_EXTRACT('x12', r'x(\d+)')
REGEXP_EXTRACT('x12', r'\d')
REGEXP_EXTRACT('x', r'\d')
REGEXP_EXTRACT('1.0', r'^ *([+-]?[0-9]{1,18})(?:[.]0*)? *$')
REGEXP_REPLACE('abab', 'b', 'x')
ARRAY_TO_STRING(['a', NULL, 'b'], ',')
ARRAY_LENGTH([1, 2])
['a', 'b'][OFFSET(1)]
MOD(-7, 3)
DIV(-7, 2)
7 + 2 * 3
NUMERIC '1.1' + NUMERIC '2.2'
NUMERIC '1.1' * NUMERIC '1.1'
NUMERIC '0.000000001' * NUMERIC '0.5'
NUMERIC '1.5' > 1.25
2147483647 + 1
ABS(NUMERIC '-5.5')
GREATEST(1, NULL)
LEAST('a', 'b')
NULL IN (1, 2)
3 IN (1, NULL)
TRUE AND NULL
1 IS NOT DISTINCT FROM NULL
DATE '2020-02-15' = '2020-02-15'
DATE_TRUNC(DATE '2020-02-15', MONTH)
DATE_ADD(DATE '2020-01-31', INTERVAL 1 MONTH)
DATE_SUB(DATE '2020-03-31', INTERVAL 1 MONTH)
DATE_DIFF(DATE '2020-03-31', DATE '2020-01-01', DAY)
DATE_DIFF(DATE '2020-03-31', DATE '2020-01-31', MONTH)
DATE(DATETIME '2020-01-02 03:04:05')
DATETIME(DATE '2020-01-02')
CAST(TIMESTAMP_ADD(TIMESTAMP '2020-01-02 03:04:05 UTC', INTERVAL 24 HOUR) AS STRING)
EXTRACT(YEAR FROM DATE '2020-01-02')
DATETIME '2020-01-02 03:04:05' < '2020-01-03'
5 ^ 3
ROUND(NUMERIC '2.5')
'é' > 'z'
""".strip().split("\n")
FAILING = r"""
CAST('x' AS INT64)
CAST('1.5' AS INT64)
CAST('x' AS NUMERIC)
CAST('100000000000000000000000000000' AS NUMERIC)
CAST('2020-02-30 00:00:00' AS DATETIME)
PARSE_DATETIME('%F %T', 'x')
['a', 'b'][OFFSET(2)]
9223372036854775807 + 1
9223372036854775807 * 2
(SELECT a FROM UNNEST([1, 2]) AS a)
ERROR('boom')
""".strip().split("\n")
CASES = [
    *(f"SAFE_CAST('{text}' AS {kind})" for text in NUMBERS for kind in ("INT64", "NUMERIC")),
    *(f"CAST(SAFE_CAST('{text}' AS NUMERIC) AS STRING)" for text in NUMBERS),
    *(f"SAFE_CAST('{text}' AS {kind})" for text in CLOCKS for kind in ("DATETIME", "DATE")),
    *OTHERS,
]


@pytest.fixture(scope="module")
def catalog() -> Iterator[Catalog]:
    made = Catalog()
    yield made
    made.close()


def ask(catalog: Catalog, sql: str) -> QueryOutcome:
    return run_query(catalog, "p", "US", {"query": sql, "useLegacySql": False})


def comparable(value: Any) -> Any:
    # 7.5 and 7.500 are one NUMERIC; its text is compared where it is made into one.
    return value.normalize(decimal.Context(prec=60)) if isinstance(value, decimal.Decimal) else value


@pytest.fixture(scope="module")
def both(catalog: Catalog) -> dict[str, tuple[Any, Any]]:
    """Of every case the result here, and Google's: all in one query, for each takes its time to be analysed."""
    sql = "SELECT " + ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(CASES))
    ((*given,),), ((*expected,),) = ask(catalog, sql).rows, evaluate(sql)
    return {expression: (given[number], expected[number]) for number, expression in enumerate(CASES)}


@pytest.mark.parametrize("expression", CASES)
def test_gives_what_google_gives(both: dict[str, tuple[Any, Any]], expression: str) -> None:
    given, expected = both[expression]
    assert comparable(given) == comparable(expected)
    assert type(given) is type(expected)


@pytest.mark.parametrize("expression", FAILING)
def test_fails_where_google_fails(catalog: Catalog, expression: str) -> None:
    with pytest.raises(SqlError):
        evaluate(f"SELECT {expression} AS result")
    with pytest.raises(BigQueryError) as raised:
        ask(catalog, f"SELECT {expression} AS result")
    assert raised.value.reason == "invalidQuery"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT COUNT(*), COUNT(n), COUNT(DISTINCT n), COUNTIF(n > 1), SUM(n), MIN(n), MAX(n) FROM source",
        "SELECT COUNT(*), COUNTIF(n > 1), SUM(n) FROM source WHERE FALSE",
        "SELECT s, n FROM source WHERE n > 0 ORDER BY 2 DESC, 1",
        "SELECT SUM(m), CAST(SUM(m) AS STRING) FROM source",
        "SELECT STRING_AGG(s, '\\n' ORDER BY s), STRING_AGG(s ORDER BY s DESC) FROM source",
        "SELECT n, SUM(m) FROM source GROUP BY n HAVING COUNT(*) > 1 ORDER BY n",
        "SELECT n AS part, COUNT(*) FROM source GROUP BY part ORDER BY part",
        "SELECT s FROM source ORDER BY s LIMIT 2 OFFSET 1",
        "SELECT s FROM source ORDER BY s DESC",
        "SELECT DISTINCT n FROM source ORDER BY n",
        "SELECT s, ROW_NUMBER() OVER (PARTITION BY n ORDER BY s) FROM source ORDER BY s",
        "SELECT s FROM source WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY n ORDER BY s) = 1 ORDER BY s",
        "SELECT a.s, b.s AS other FROM source AS a LEFT JOIN source AS b ON a.n = b.n AND a.s < b.s ORDER BY a.s, b.s",
        "WITH one AS (SELECT n FROM source), two AS (SELECT n + 1 AS n FROM one) SELECT SUM(n) FROM two",
        "SELECT n FROM source UNION ALL SELECT 7 ORDER BY n",
        "SELECT s FROM source EXCEPT DISTINCT SELECT 'a' ORDER BY s",
        "SELECT * EXCEPT (m) FROM source ORDER BY s",
        "SELECT s FROM source WHERE n NOT IN (SELECT 1)",
        "SELECT s FROM source AS o WHERE EXISTS (SELECT 1 FROM source WHERE n = o.n AND s > 'b') ORDER BY s",
        "SELECT v, p FROM UNNEST(['a', 'b']) AS v WITH OFFSET AS p ORDER BY p",
        "SELECT BIT_XOR(n), ANY_VALUE(1), LOGICAL_AND(n > 0), LOGICAL_OR(n > 2) FROM source",
    ],
)
def test_queries_give_what_google_gives(catalog: Catalog, query: str) -> None:
    rows = [(1, "1.50", "b"), (1, "0.25", "a"), (2, None, "c"), (None, "-3", "d")]
    selects = [f"SELECT {n or 'NULL'} AS n, CAST({m!r} AS NUMERIC) AS m, {s!r} AS s" for n, m, s in rows]
    source = " UNION ALL ".join(selects).replace("CAST(None", "CAST(NULL")
    sql = (
        f"WITH source AS ({source}), {query[5:]}" if query.startswith("WITH ") else f"WITH source AS ({source}) {query}"
    )
    given = [tuple(map(comparable, row)) for row in ask(catalog, sql).rows]
    assert given == [tuple(map(comparable, row)) for row in evaluate(sql)]
    assert given


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("1 / 2", "Div"),
        ("NUMERIC '1' * 0.1", "0.1"),
        ("1e3", "1e3"),
        ("(SELECT AVG(a) FROM UNNEST([1]) AS a)", "Avg"),
        ("FARM_FINGERPRINT('a')", "FarmFingerprint"),
        ("FORMAT('%d', 1)", "Format"),
        ("STRUCT(1 AS a)", "Struct"),
        ("JSON_VALUE('{}', '$.a')", "JSONExtractScalar"),
        ("CAST('1' AS BIGNUMERIC)", "BIGNUMERIC"),
        ("TIME '01:02:03'", "TIME"),
        ("FORMAT_DATETIME('%b', DATETIME '2020-01-02 00:00:00')", "%b"),
        ("PARSE_DATETIME('%Y', '2020')", "%Y"),
        ("REGEXP_EXTRACT('a', '(a)?')", "(a)?"),
        ("(SELECT SUM(a) OVER (ORDER BY a ROWS 1 PRECEDING) FROM UNNEST([1]) AS a)", "spec"),
        ("SAFE_CAST('2020-01-02 03:04:60' AS DATETIME)", "2020-01-02 03:04:60"),
        ("SAFE_CAST('0x1A' AS INT64)", "hexadecimal"),
        ("CAST(CAST(1.5 AS FLOAT64) AS STRING)", "DOUBLE"),
        ("['a'][SAFE_OFFSET(1)]", "OFFSET"),
        ("@@project_id", "@@project_id"),
        ("ARRAY(SELECT 1)", "ARRAY"),
        ("SESSION_USER()", "SessionUser"),
    ],
)
def test_refuses_by_name_what_it_does_not_know(catalog: Catalog, expression: str, named: str) -> None:
    with pytest.raises(RefusedError) as raised:
        ask(catalog, f"SELECT {expression} AS result")
    assert raised.value.code == 501
    assert named in raised.value.message


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("SELECT a FROM (SELECT 1 AS a) TABLESAMPLE SYSTEM (10 PERCENT)", "sample"),
        ("SELECT AS STRUCT 1 AS a", "kind"),
        ("SELECT * FROM (SELECT 1 AS x, 2 AS y) PIVOT (SUM(x) FOR y IN (2))", "pivot"),
        ("WITH RECURSIVE t AS (SELECT 1 AS n) SELECT n FROM t", "recursive"),
        ("SELECT a FROM (SELECT 1 AS a) GROUP BY ROLLUP (a)", "rollup"),
        ("FROM (SELECT 1 AS a) |> WHERE a = 1", "FROM"),
    ],
)
def test_refuses_by_name_a_clause_that_it_does_not_know(catalog: Catalog, query: str, named: str) -> None:
    with pytest.raises(RefusedError) as raised:
        ask(catalog, query)
    assert named.lower() in raised.value.message.lower()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nowhere", "Unrecognized name: nowhere"),
        ("SELECT 1 = 'a'", "No matching signature for operator ="),
        ("SELECT DATETIME '2020-01-01 00:00:00' < TIMESTAMP '2020-01-01 00:00:00 UTC'", "No matching signature"),
        ("SELECT a, COUNT(*) FROM UNNEST([1]) AS a", "neither grouped nor aggregated"),
        ("SELECT @unknown", "'unknown' not found"),
        ("SELECT 1 AS a, 2 AS a", "Duplicate column names"),
        ("SELECT 1 FROM", "Syntax error"),
    ],
)
def test_reports_errors_in_googles_words(catalog: Catalog, sql: str, message: str) -> None:
    with pytest.raises(BigQueryError) as raised:
        ask(catalog, sql)
    assert message in raised.value.message
