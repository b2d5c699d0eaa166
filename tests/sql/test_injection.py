"""Jinja writes names that were checked, and nothing else; texts stay the texts that they are."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import nodes

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.paths import SQL_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.ledger import create_ledger
from taxiway.warehouses.bigquery.main_table import ensure_main_table as ensure_bigquery_table
from taxiway.warehouses.bigquery.provisioning import Provisioner
from taxiway.warehouses.postgres.main_table import ensure_tables
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import environment
from tests.cloud_loading import Cloud
from tests.conftest import Connect
from tests.loading import ids, load, query, write_gzip
from tests.sql.bigquery_rendered import TABLES as CLOUD_TABLES
from tests.sql.rendered import GREEN, RUN

FILES = sorted((SQL_FOLDER / "postgres").glob("*.sql"))
BIGQUERY_FILES = sorted((SQL_FOLDER / "bigquery").glob("*.sql"))

QUOTING = {"identifier", "literal", "quoted"}
NAMES = {
    # of LoadTables, and the partition as Postgres itself quotes it
    "differences_table",
    "index_name",
    "partition",
    "partition_index",
    "partition_name",
    "rows_name",
    "rows_table",
    "staging_table",
    # of Source, where it is checked
    "main_table",
    "column.header",
    "column.type",
}
BIGQUERY_NAMES = {
    # of CloudTables; project and dataset are checked where the Variables are read
    "dataset",
    "main_table",
    "rows_table",
    "staging_table",
    # of Source, where it is checked
    "check.column",
    "cluster_by",
    "column.name",
}
"""What may stand between backticks in BigQuery, and nowhere else."""
MACROS = {
    *("as_type", "row_id", "row_text", "field", "is_readable"),
    *("type_of", "typed_text", "unreadable", "value_text", "whole_seconds"),
    *("extended_statistics", "held_locks"),
}
MACROS_OF_EXPRESSIONS = {"grant", "is_abandoned", "role_name"}
"""Macros that write what they are given: their arguments have to be constants."""

NAMES_OF_CODE = {
    "postgres/_grants.sql": {"oid", "owner", "relation", "rights"},
    "postgres/_held_locks.sql": {"attempts"},
    "postgres/record_step.sql": {"column"},
    "postgres/check_month.sql": {"is_broken", "loop.index"},
    "postgres/evaluate.sql": {"expression"},
    "postgres/find_broken_row.sql": {"is_broken"},
    "postgres/summarize_month.sql": {"part", "type_name"},
    "bigquery/check_month.sql": {"loop.index"},
    "bigquery/evaluate.sql": {"expression"},
    "bigquery/count_files.sql": {"month"},
    "bigquery/find_earlier_rows.sql": {"month"},
    "bigquery/merge_month.sql": {"month"},
    "bigquery/rename_file.sql": {"month"},
}
"""What the code itself gives: columns of the ledger and of the summary, numbers, the first day of a month, what a step
of a DAG asks for; conditions that Postgres itself writes out, of constraints that are in force; and arguments of
:data:`MACROS_OF_EXPRESSIONS`."""

PLAIN = re.compile(r"([a-z_]+\.)?[a-z][a-z0-9_]{0,62}")

TEXTS = [
    "it's 100% of 'them'; DROP TABLE x; --",
    "%s %(month)s %% 50%",
    "{{ 7*7 }} {% raw %} {# x #}",
    "$$; DROP TABLE y; $$ $reader$ $1",
    "\"quoted\" \\ \\' \\x41 E'\\n'",
    "two\nlines -- and /* a comment",
    "ünï € \u202e 🚕",
]


def unsafe(node: nodes.Expr | None, file: str, names: set[str] = NAMES) -> list[str]:
    """Return what of an expression is neither a checked name, nor quoted, nor a constant."""
    if node is None or isinstance(node, nodes.Const | nodes.TemplateData):
        return []
    if isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Dict):
        return [found for pair in node.node.items for found in unsafe(pair.value, file, names)]
    if isinstance(node, nodes.CondExpr):
        return unsafe(node.expr1, file, names) + unsafe(node.expr2, file, names)
    if isinstance(node, nodes.Concat):
        return [found for part in node.nodes for found in unsafe(part, file, names)]
    if isinstance(node, nodes.Filter) and node.name in QUOTING:
        return []
    if isinstance(node, nodes.Call) and _is_macro(node.node):
        return []
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in MACROS_OF_EXPRESSIONS:
        return [found for argument in node.args for found in unsafe(argument, file, set())]
    name = ""
    if isinstance(node, nodes.Name):
        name = node.name
    elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        name = f"{node.node.name}.{node.attr}"
    return [] if name in names | NAMES_OF_CODE.get(file, set()) else [f"{file}: {node}"]


def _is_macro(called: nodes.Node) -> bool:
    """Say whether what is called is a macro, whose own text is looked at where it stands."""
    if isinstance(called, nodes.Getitem):  # measures[check.measure]
        return isinstance(called.node, nodes.Name) and called.node.name == "measures"
    return isinstance(called, nodes.Name) and called.name in MACROS


def written(source: str, file: str) -> list[str]:
    outputs = environment().parse(source).find_all(nodes.Output)
    return [found for output in outputs for node in output.nodes for found in unsafe(node, file)]


def written_for_bigquery(source: str, file: str) -> list[str]:
    """As :func:`written`; names count as safe between backticks, or as the whole of a text of their own."""
    found = []
    for output in environment().parse(source).find_all(nodes.Output):
        for position, node in enumerate(output.nodes):
            before = output.nodes[position - 1] if position else None
            enclosed = isinstance(before, nodes.TemplateData) and re.search(r"`[^`\n]*$|'$", before.data)
            found += unsafe(node, file, BIGQUERY_NAMES if enclosed else set())
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_jinja_writes_is_a_checked_name_or_quoted(path: Path) -> None:
    assert written(path.read_text(encoding="utf-8"), f"postgres/{path.name}") == []


@pytest.mark.parametrize("path", BIGQUERY_FILES, ids=lambda path: path.name)
def test_what_jinja_writes_for_bigquery_is_a_checked_name_or_quoted(path: Path) -> None:
    assert written_for_bigquery(path.read_text(encoding="utf-8"), f"bigquery/{path.name}") == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT {{ filename }}",
        "SELECT '{{ title }}'",
        "SELECT {{ column.name }}",
        "SELECT {{ column.description | upper }}",
        "SELECT {{ 'x' ~ title }}",
        "SELECT {{ 'x' if staged else title }}",
        "{% for column in columns %}{{ column }}{% endfor %}",
        "{% macro text(column) %}{{ column.description }}{% endmacro %}",
        "{{ grant(title, 'main.name', 'main.relowner') }}",
    ],
)
def test_anything_else_is_noticed(statement: str) -> None:
    assert written(statement, "made_up.sql") != []
    assert written_for_bigquery(statement, "made_up.sql") != []


@pytest.mark.parametrize("statement", ["SELECT {{ column.name }}", "FROM {{ dataset }}.t", "{{ {'a': title}['a'] }}"])
def test_a_name_outside_of_backticks_is_noticed(statement: str) -> None:
    assert written_for_bigquery(statement, "made_up.sql") != []


@pytest.mark.parametrize("path", FILES + BIGQUERY_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_values_are_bound_outside_of_quotes(path: Path) -> None:
    """A placeholder between quotes would be quoted twice, and end them; in BigQuery it would be a text."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.lstrip().startswith("--"):
            assert not re.search(r"'[^']*(%\(\w+\)s|@\w+)[^']*'", line), line


def test_names_of_a_load_are_plain_whatever_its_run_is_called() -> None:
    for run_id in ("manual__1", "x'; DROP TABLE y; --", '"', "../..", "{{ 7 }}", "%s", "\n", "é" * 500, ""):
        tables = LoadTables(GREEN, Month(2019, 1), run_id)
        for name in NAMES & set(dir(tables)):
            assert PLAIN.fullmatch(getattr(tables, name)), (name, run_id)
    for name in NAMES & set(RUN):
        assert PLAIN.fullmatch(RUN[name]), name


@pytest.mark.parametrize(
    "run_id", ["manual__1", "x`; DROP TABLE y; --", "'", "../..", "{{ 7 }}", "@x", "\n", "é" * 500, ""]
)
def test_names_of_a_load_into_bigquery_are_plain_whatever_its_run_is_called(run_id: str) -> None:
    tables = replace(CLOUD_TABLES, run_id=run_id)
    for name in BIGQUERY_NAMES & set(dir(tables)):
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z][a-z0-9_]*){1,2}", getattr(tables, name)), name
    assert re.fullmatch(r"[a-z0-9_./-]+", tables.clean_object_name)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_a_source_are_descriptions_in_bigquery_as_they_stand(text: str, bigquery: StandIn) -> None:
    cloud = Cloud.connect()
    Provisioner(cloud.settings, "test").ensure_dataset(cloud.bigquery)
    described = replace(GREEN.columns[0], description=text)
    source = replace(GREEN, title=text, columns=(described, *GREEN.columns[1:]))

    create_ledger(cloud.jobs())
    ensure_bigquery_table(cloud.jobs(), cloud.tables(source, "2019-01"))

    table = cloud.bigquery.get_table(f"{cloud.settings.dataset_name}.{source.main_table}")
    assert (table.description, table.schema[3].description) == (text, text)


@pytest.mark.parametrize("run_id", ["x'; DROP TABLE loads; --", "@month {{ 7*7 }} `", '../\\ "é\n'])
def test_the_id_of_a_run_is_a_value_in_bigquery(
    run_id: str, bigquery: StandIn, cloud_storage: CloudStorage, tmp_path: Path
) -> None:
    cloud = Cloud.connect().set_up()
    source = replace(GREEN, checks=(), max_rejected_share=0.5)
    row = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
    rejected = row.replace("42", "@load_id'; DROP TABLE loads; -- {{ 7*7 }} `")
    lines = [",".join(column.header for column in source.columns), row, row, rejected]

    cloud.load(source, "2019-01", write_gzip(tmp_path / "green.csv.gz", lines), run_id)

    assert cloud.query("SELECT run_id, state FROM `$taxi.loads`") == [(run_id, "published")]
    assert cloud.query("SELECT raw_line FROM `$taxi.rejected_rows`") == [(rejected,)]
    assert len(cloud.ids(source, "2019-01")) == 2


def test_texts_of_a_source_become_comments_as_they_stand(connect: Connect) -> None:
    connection = connect()
    for number, text in enumerate(TEXTS):
        described = replace(GREEN.columns[0], description=text)
        source = replace(GREEN, main_table=f"trips_{number}", title=text, columns=(described, *GREEN.columns[1:]))
        with transaction(connection) as cursor:
            ensure_tables(cursor, source)
        assert query(
            connection,
            "SELECT obj_description(c), col_description(c, 4) FROM to_regclass(%s) AS c",
            [f"public.trips_{number}"],
        ) == [(text, text)]


@pytest.mark.parametrize("run_id", ["x'; DROP TABLE taxiway.loads; --", "%(month)s {{ 7*7 }} $$", '../\\ "é\n'])
def test_the_id_of_a_run_is_a_value(run_id: str, connect: Connect, tmp_path: Path) -> None:
    connection = connect()
    source: Source = replace(GREEN, checks=())
    row = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
    rejected = row.replace("42", "%(load_id)s'; DROP TABLE taxiway.loads; -- {{ 7*7 }}")
    lines = [",".join(column.header for column in source.columns), *[row] * 2000, rejected]

    load(connection, source, "2019-01", write_gzip(tmp_path / "green.csv.gz", lines), run_id=run_id)

    assert query(connection, "SELECT run_id, state FROM taxiway.loads") == [(run_id, "published")]
    assert query(connection, "SELECT raw_line FROM taxiway.rejected_rows") == [(rejected,)]
    assert len(ids(connection, source)) == 2000
