"""Google's own analyzer and evaluator of BigQuery's SQL, as the measure of ours.

It runs as WebAssembly within the process. The first start on a machine compiles it, which takes about 45 seconds of one
core; later ones take the compiled code from a cache and are ready in a quarter of a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from stand_ins.zetasql_values import SqlError, proto_value, python_value, type_name, type_of

_LOCK = threading.RLock()
_Types = tuple[tuple[str, str], ...]
_Shapes = tuple[tuple[str, _Types], ...]


@dataclass(frozen=True)
class Analysis:
    """What the analyzer says of a statement.

    :param kind: class of its resolved statement, without ``Resolved`` and ``Stmt``: ``Query``, ``Merge``, …
    :param columns: name and type of what it gives, for a query or a table made of one
    :param reads: of each table that it scans, the columns that it needs
    """

    kind: str
    columns: list[tuple[str, str]]
    reads: dict[str, list[str]] = field(default_factory=dict)


def analyze(
    sql: str,
    tables: Mapping[str, Mapping[str, str]] | None = None,
    parameters: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Analysis:
    """Analyse one statement as BigQuery would.

    :param sql: the statement
    :param tables: of each table, by a name such as ``project.dataset.table``, its columns' types
    :param parameters: types of the query's parameters, without their ``@``
    :param variables: types of the script's variables
    :raises SqlError: if it is wrong
    """
    types = tuple((parameters or {}).items()), tuple((variables or {}).items())
    shapes = {name: tuple(columns.items()) for name, columns in (tables or {}).items()}
    renamed, names = _renamed(sql)
    if names:
        # An error names tables, and places in the text: it is that of the statement as it was written.
        with contextlib.suppress(SqlError):
            found = _analyze(renamed, tuple((names.get(name, name), shape) for name, shape in shapes.items()), *types)
            written = {new: name for name, new in names.items()}
            return replace(found, reads={written.get(name, name): columns for name, columns in found.reads.items()})
    return _analyze(sql, tuple(shapes.items()), *types)


@functools.lru_cache(maxsize=1000)
def _renamed(sql: str) -> tuple[str, dict[str, str]]:
    """Number a statement's tables, so that two that differ only in names of tables are analysed once.

    :return: the statement with another name for each quoted identifier with a dot in it, and these names
    """
    names: dict[str, str] = {}
    parts, end = [], 0
    try:
        tokens = sqlglot.tokenize(sql, read="bigquery")
    except SqlglotError:
        return sql, {}
    for token in tokens:
        if token.token_type == TokenType.IDENTIFIER and "." in token.text:
            new = names.setdefault(token.text, f"table {len(names)}")
            parts += [sql[end : token.start], f"`{new}`"]
            end = token.end + 1
    return "".join([*parts, sql[end:]]), names


# A statement takes 30 to 60 ms, and the same ones come again and again.
@functools.lru_cache(maxsize=1000)
def _analyze(
    sql: str,
    shapes: _Shapes,
    parameters: _Types,
    variables: _Types,
) -> Analysis:
    from zetasql.core.exceptions import ZetaSQLError
    from zetasql.core.local_service import local_service_pb2, parse_proto
    from zetasql.types import AnalyzeRequest

    with _LOCK:
        client = _service().wasm_client
        try:
            catalog = _registered(shapes, variables)
            request = AnalyzeRequest(
                sql_statement=sql, options=_options(dict(parameters)), registered_catalog_id=catalog
            )
            # Not the service's own method, which makes objects of the whole answer: a quarter of the time.
            response = client.call_grpc_func(
                "ZetaSqlLocalService_Analyze", request.to_proto(), local_service_pb2.AnalyzeResponse
            )
        except ZetaSQLError as error:
            raise SqlError(_message(error)) from None
    statement = response.resolved_statement
    while statement.DESCRIPTOR.name.startswith("Any"):
        statement = getattr(statement, statement.WhichOneof("node"))
    columns = [(each.name, type_name(parse_proto(each.column.type))) for each in _output_columns(statement)]
    reads: dict[str, list[str]] = {}
    for scan in _table_scans(statement):
        names = reads.setdefault(scan.table.full_name or scan.table.name, [])
        names += [column.name for column in scan.parent.column_list if column.name not in names]
    kind = statement.DESCRIPTOR.name.removeprefix("Resolved").removesuffix("Proto").removesuffix("Stmt")
    return Analysis(kind, columns, reads)


def evaluate(
    sql: str,
    tables: Mapping[str, Mapping[str, str]] | None = None,
    rows: Mapping[str, Sequence[Sequence[Any]]] | None = None,
    parameters: Mapping[str, tuple[str, Any]] | None = None,
) -> list[tuple[Any, ...]]:
    """Evaluate a SELECT with Google's reference implementation.

    :param sql: the query
    :param tables: of each table its columns' types
    :param rows: of each table its rows, with values of Python: ``Decimal`` for NUMERIC, a naive ``datetime`` for
        DATETIME
    :param parameters: type and value of each
    :return: the rows, in the same values
    :raises SqlError: if it is wrong, or fails
    """
    from zetasql.core.exceptions import ZetaSQLError
    from zetasql.types import Parameter, TableContent, TableData

    kinds = {name: list(columns.values()) for name, columns in (tables or {}).items()}
    content = {
        name: TableContent(
            table_data=TableData(
                row=[
                    TableData.Row(cell=[proto_value(cell, kind) for cell, kind in zip(row, kinds[name], strict=True)])
                    for row in given
                ]
            )
        )
        for name, given in (rows or {}).items()
    }
    given_parameters = [
        Parameter(name=name, value=proto_value(value, kind)) for name, (kind, value) in (parameters or {}).items()
    ]
    types = {name: kind for name, (kind, _) in (parameters or {}).items()}
    with _LOCK:
        service = _service()
        # A catalog that the service keeps can't be given rows.
        catalog = {"simple_catalog": _catalog(tables, {})} if tables else {"registered_catalog_id": _registered((), ())}
        try:
            prepared = service.prepare_query(
                sql=sql, options=_options(types), table_content=content, **catalog
            ).prepared
            identifier = prepared.prepared_query_id
            try:
                response = service.evaluate_query(prepared_query_id=identifier, params=given_parameters)
            finally:
                service.unprepare_query(prepared_query_id=identifier)
        except ZetaSQLError as error:
            raise SqlError(_message(error)) from None
    results = [type_name(each.type) for each in prepared.columns]
    return [
        tuple(python_value(cell, kind) for cell, kind in zip(row.cell, results, strict=True))
        for row in (response.content.table_data.row if response.content.table_data else [])
    ]


def _message(error: Exception) -> str:
    return str(getattr(error, "message", error))


@functools.cache
def _service() -> Any:
    import zetasql.core.wasm_client as wasm_client
    from zetasql.core import ZetaSqlLocalService

    plain = wasm_client.Config
    settings = _cache_settings()

    def cached() -> Any:
        config = plain()
        config.cache = str(settings)
        return config

    wasm_client.Config = cached
    try:
        # Of processes that start at once, one compiles, which takes the whole machine.
        with (cache_folder() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return ZetaSqlLocalService.get_instance()
    finally:
        wasm_client.Config = plain


@functools.cache
def cache_folder() -> Path:
    """Where the compiled code is kept: a folder of one's own, for it holds code that will run."""
    folder = Path(tempfile.gettempdir(), f"taxiway-zetasql-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or folder.is_symlink():
        return Path(tempfile.mkdtemp(prefix="taxiway-zetasql-"))
    return folder


def _cache_settings() -> Path:
    folder = cache_folder()
    settings = folder / "cache.toml"
    own = folder / f"cache.toml.{os.getpid()}"
    # A folder of its own: the cache's clean-up deletes what it doesn't know.
    own.write_text(f'[cache]\ndirectory = "{folder / "compiled"}"\n')
    own.replace(settings)
    return settings


@functools.cache
def _language() -> Any:
    from zetasql.types import LanguageOptions, ProductMode

    _service()
    options = LanguageOptions.maximum_features()
    options.product_mode = ProductMode.PRODUCT_EXTERNAL
    options.supported_statement_kinds = []
    return options


def _options(parameters: Mapping[str, str]) -> Any:
    from zetasql.types import AnalyzerOptions

    return AnalyzerOptions(
        language_options=_language(),
        default_timezone="UTC",
        prune_unused_columns=True,
        query_parameters=[
            AnalyzerOptions.QueryParameter(name=name, type=type_of(kind)) for name, kind in parameters.items()
        ],
    )


# Google's functions are most of a catalog, and take longer to make than a statement to analyse.
_REGISTERED: OrderedDict[Any, int] = OrderedDict()
_MOST_REGISTERED = 50


def _registered(shapes: _Shapes, variables: _Types) -> int:
    """The id of a catalog that the service keeps."""
    key = shapes, variables
    if key not in _REGISTERED:
        if len(_REGISTERED) == _MOST_REGISTERED:
            _service().unregister_catalog(registered_id=_REGISTERED.popitem(last=False)[1])
        made = _catalog({name: dict(columns) for name, columns in shapes}, dict(variables))
        _REGISTERED[key] = _service().register_catalog(simple_catalog=made).registered_id
    _REGISTERED.move_to_end(key)
    return _REGISTERED[key]


def _catalog(tables: Mapping[str, Mapping[str, str]], variables: Mapping[str, str]) -> Any:
    from zetasql.types import SimpleCatalog, SimpleColumn, SimpleConstant, SimpleTable, ZetaSQLBuiltinFunctionOptions

    root = SimpleCatalog(
        name="root", builtin_function_options=ZetaSQLBuiltinFunctionOptions(language_options=_language())
    )
    for name, columns in tables.items():
        parts = name.split(".")
        # A name can be written as one quoted identifier or as a path.
        for path in [[name], parts] if len(parts) > 1 else [parts]:
            catalog = root
            for part in path[:-1]:
                inner = next((each for each in catalog.catalog if each.name == part), None)
                if inner is None:
                    inner = SimpleCatalog(name=part)
                    catalog.catalog.append(inner)
                catalog = inner
            table = SimpleTable(name=path[-1], full_name=name)
            table.column = [
                SimpleColumn(name=column, type=type_of(kind), is_writable_column=True)
                for column, kind in columns.items()
            ]
            catalog.table.append(table)
    for name, kind in variables.items():
        root.constant.append(SimpleConstant(name_path=[name], type=type_of(kind), value=proto_value(None, kind)))
    return root


def _output_columns(statement: Any) -> Sequence[Any]:
    """The columns that a resolved statement gives; those of a view stand in the message that its own extends."""
    fields = statement.DESCRIPTOR.fields_by_name
    if "output_column_list" in fields:
        return statement.output_column_list
    return _output_columns(statement.parent) if "parent" in fields else []


def _table_scans(message: Any) -> Iterator[Any]:
    """Every scan of a table in a resolved tree."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for each in value if descriptor.is_repeated else [value]:
                if each.DESCRIPTOR.name == "ResolvedTableScanProto":
                    yield each
                yield from _table_scans(each)
