"""Load jobs, and EXTERNAL tables: CSV objects of Cloud Storage into rows."""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import duckdb

from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.errors import BigQueryError, RefusedError, check_fields
from stand_ins.bigquery.tables import Table, TableName, quote
from stand_ins.bigquery.values import duckdb_type

_CSV_FIELDS = {
    "skipLeadingRows", "fieldDelimiter", "quote", "allowQuotedNewlines", "allowJaggedRows", "encoding", "nullMarker",
}  # fmt: skip
_LOAD_FIELDS = _CSV_FIELDS | {
    "sourceUris", "sourceFormat", "schema", "destinationTable", "writeDisposition", "createDisposition",
    "maxBadRecords", "ignoreUnknownValues", "autodetect", "timePartitioning", "clustering",
    "destinationTableProperties", "schemaUpdateOptions",
    "preserveAsciiControlCharacters",
}  # fmt: skip
_EXTERNAL_FIELDS = {
    "sourceUris", "sourceFormat", "schema", "csvOptions", "maxBadRecords", "ignoreUnknownValues", "autodetect",
}  # fmt: skip
_CASTS = {
    "INT64": "bq_int", "NUMERIC": "bq_numeric", "FLOAT64": "bq_float",
    "BOOL": "bq_bool", "DATE": "bq_date", "DATETIME": "bq_datetime",
    "TIMESTAMP": "bq_timestamp", "STRING": "",
}  # fmt: skip


class LoadError(BigQueryError):
    """A file that can't be read; its bad records stand in ``details``."""

    def __init__(self, message: str, details: list[dict[str, Any]], location: str) -> None:
        super().__init__("invalid", message, location)
        self.details = details


def _check_uri(uri: str) -> None:
    if not uri.startswith("gs://") or "*" in uri:
        raise RefusedError(f"the URI {uri}")


def fetch(uri: str) -> bytes:
    """The bytes of an object, as they are stored.

    :raises BigQueryError: if there is none
    """
    _check_uri(uri)
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    if not host:
        raise RefusedError("reading from Cloud Storage without STORAGE_EMULATOR_HOST in its own environment")
    bucket, _, name = uri[len("gs://") :].partition("/")
    url = f"{host}/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                raise BigQueryError("notFound", f"Not found: URI {uri}", uri) from None
            raise BigQueryError("backendError", f"Cloud Storage answered {error.code} for {uri}", uri) from None


def _unpacked(uri: str, configuration: dict[str, Any]) -> tuple[bytes, int]:
    stored = fetch(uri)
    content = stored
    if stored[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(stored)
        except (EOFError, OSError, zlib.error) as error:
            message = f"Error while reading data, error message: Failed to decompress gzip: {error}; File: {uri}"
            raise LoadError(message, [], uri) from None
    keep = configuration.get("preserveAsciiControlCharacters")
    if not keep and re.search(rb"[\x01-\x08\x0b\x0c\x0e-\x1f]", content):
        raise RefusedError(f"control characters in {uri} without preserveAsciiControlCharacters")
    if b"\x00" in content and not keep:
        message = f"Error while reading data, error message: Bad character (ASCII 0) encountered. File: {uri}"
        raise LoadError(message, [], uri)
    mark = configuration["quote"] if configuration.get("quote") is not None else '"'
    if mark and content.count(mark.encode()) % 2:
        # DuckDB takes the rest of the file for a field; BigQuery does not.
        message = f'Error while reading data, error message: Missing close double quote (") character. File: {uri}'
        raise LoadError(message, [], uri)
    # Bytes that are no UTF-8 are loaded as replacement characters, as BigQuery does.
    return content.decode("utf-8", errors="replace").encode(), len(stored)


def run_load(catalog: Catalog, location: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """Carry out a load job.

    :return: its statistics
    """
    check_fields(configuration, _LOAD_FIELDS, "load")
    name = TableName.from_reference(configuration["destinationTable"])
    _check_source(configuration)
    if configuration.get("schemaUpdateOptions"):
        raise RefusedError("schemaUpdateOptions")
    dataset = catalog.dataset(name.project, name.dataset)
    if dataset["location"].lower() != location.lower():
        message = f"Not found: Dataset {name.project}:{name.dataset} was not found in location {location}"
        raise BigQueryError("notFound", message)
    contents = [(uri, *_unpacked(uri, configuration)) for uri in configuration["sourceUris"]]
    with catalog.unit():
        table = _destination(catalog, name, configuration)
        table.require_permanence()
        before, size_before = catalog.measure(table, list(table.columns))
        bad: list[dict[str, Any]] = []
        for uri, content, _ in contents:
            bad += _read(catalog, table, uri, content, configuration)
        _check_bad(bad, configuration)
        catalog.touch(table)
        rows, size = catalog.measure(table, list(table.columns))
    return {
        "inputFiles": str(len(contents)),
        "inputFileBytes": str(sum(stored for *_, stored in contents)),
        "outputRows": str(rows - before),
        "outputBytes": str(size - size_before),
        "badRecords": str(len(bad)),
    }


def refresh_external(catalog: Catalog, table: Table) -> int:
    """Read an EXTERNAL table's objects anew.

    :return: bytes of the objects
    """
    configuration = table.resource["externalDataConfiguration"]
    flat = {**configuration, **(configuration.get("csvOptions") or {})}
    flat.pop("csvOptions", None)
    contents = [(uri, *_unpacked(uri, configuration)) for uri in configuration["sourceUris"]]
    with catalog.unit():
        catalog.execute(f"DELETE FROM {table.storage}")
        bad: list[dict[str, Any]] = []
        for uri, content, _ in contents:
            bad += _read(catalog, table, uri, content, flat)
        _check_bad(bad, flat)
    return sum(stored for *_, stored in contents)


def check_external(configuration: dict[str, Any]) -> None:
    """Refuse what an EXTERNAL table can't have here."""
    check_fields(configuration, _EXTERNAL_FIELDS, "externalDataConfiguration")
    check_fields(configuration.get("csvOptions") or {}, _CSV_FIELDS, "csvOptions")
    _check_source({**configuration, **(configuration.get("csvOptions") or {})})


def _check_source(configuration: dict[str, Any]) -> None:
    if configuration.get("sourceFormat", "CSV") != "CSV":
        raise RefusedError(f"the source format {configuration['sourceFormat']}")
    if configuration.get("autodetect"):
        raise RefusedError("autodetect")
    if configuration.get("ignoreUnknownValues"):
        raise RefusedError("ignoreUnknownValues")
    if (configuration.get("encoding") or "UTF-8").upper() not in ("UTF-8", "UTF8"):
        raise RefusedError(f"the encoding {configuration['encoding']}")
    if not configuration.get("sourceUris"):
        raise BigQueryError("invalid", "Required parameter is missing: sourceUris")
    for uri in configuration["sourceUris"]:
        _check_uri(uri)


def _destination(catalog: Catalog, name: TableName, configuration: dict[str, Any]) -> Table:
    disposition = configuration.get("writeDisposition") or "WRITE_APPEND"
    existing = catalog.find(name)
    properties = configuration.get("destinationTableProperties") or {}
    check_fields(properties, {"description", "friendlyName", "labels", "expirationTime"}, "destinationTableProperties")
    wanted = {
        "tableReference": name.reference(),
        "schema": configuration.get("schema"),
        "timePartitioning": configuration.get("timePartitioning"),
        "clustering": configuration.get("clustering"),
        **properties,
    }
    if existing is None:
        if configuration.get("createDisposition") == "CREATE_NEVER":
            raise BigQueryError("notFound", f"Not found: Table {name}")
        if not configuration.get("schema"):
            raise BigQueryError("invalid", "No schema specified on job or table.")
        return catalog.create(wanted)
    rows, _ = catalog.measure(existing, [])
    if disposition == "WRITE_EMPTY" and rows:
        raise BigQueryError("duplicate", f"Already Exists: Table {name}")
    if disposition == "WRITE_TRUNCATE":
        kept = {key: existing.resource.get(key) for key in ("description", "labels", "expirationTime")}
        for key in ("schema", "timePartitioning", "clustering"):
            kept[key] = wanted[key] or existing.resource.get(key)
        catalog.drop(existing)
        return catalog.create({**kept, **properties, "tableReference": name.reference()})
    given = [(each["name"].lower(), each["type"]) for each in (configuration.get("schema") or {}).get("fields", [])]
    present = [(each["name"].lower(), each["type"]) for each in existing.resource["schema"]["fields"]]
    if given and given != present:
        raise BigQueryError("invalid", f"Provided Schema does not match Table {name}")
    return existing


def _read(
    catalog: Catalog, table: Table, uri: str, content: bytes, configuration: dict[str, Any]
) -> list[dict[str, Any]]:
    """Append a file's rows; what can't be read comes back as errors."""
    columns = table.columns
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "content.csv")
        path.write_bytes(content)
        options = {
            "header": "false",
            "auto_detect": "false",
            "columns": "{" + ", ".join(f"'{i}': 'VARCHAR'" for i in range(len(columns))) + "}",
            "skip": str(int(configuration.get("skipLeadingRows") or 0)),
            "delim": _literal(configuration.get("fieldDelimiter") or ","),
            "quote": _literal(configuration["quote"] if configuration.get("quote") is not None else '"'),
            "escape": _literal(configuration["quote"] if configuration.get("quote") is not None else '"'),
            "nullstr": _literal(configuration.get("nullMarker") or ""),
            "allow_quoted_nulls": "false",
            "null_padding": "true" if configuration.get("allowJaggedRows") else "false",
            "store_rejects": "true",
            "strict_mode": "true",
            "max_line_size": str(max(len(content) + 1, 2_000_000)),
            "parallel": "false",
        }
        reader = ", ".join(f"{key} = {value}" for key, value in options.items())
        catalog.execute(
            "DROP TABLE IF EXISTS incoming; DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans"
        )
        try:
            catalog.execute(f"CREATE TEMP TABLE incoming AS SELECT * FROM read_csv({_literal(str(path))}, {reader})")
        except duckdb.Error as error:
            raise LoadError(f"Error while reading data, error message: {error}; File: {uri}", [], uri) from None
        rejected = catalog.execute(
            "SELECT line, min(byte_position), first(error_message) FROM reject_errors GROUP BY line ORDER BY line"
        ).fetchall()
    bad = [_bad(uri, f"CSV table: {text.splitlines()[0]} Line: {line}", position) for line, position, text in rejected]
    if not configuration.get("allowQuotedNewlines"):
        broken = " OR ".join(f"contains({quote(str(i))}, chr(10))" for i in range(len(columns)))
        found = catalog.execute(f"SELECT count(*) FROM incoming WHERE {broken}").fetchone()
        if found and found[0]:
            raise LoadError(
                'Error while reading data, error message: Missing close double quote (") character.', [], uri
            )
    return bad + _append(catalog, table, uri)


def _append(catalog: Catalog, table: Table, uri: str) -> list[dict[str, Any]]:
    bad = []
    required = {each["name"] for each in table.resource["schema"]["fields"] if each["mode"] == "REQUIRED"}
    expressions, failures = [], []
    for position, (column, kind) in enumerate(table.columns.items()):
        field = quote(str(position))
        made = f"{_CASTS[kind]}({field})" if kind in _CASTS else None
        if made is None:
            raise RefusedError(f"loading {kind} from CSV")
        expressions.append(f"CAST({made} AS {duckdb_type(kind)})")
        fails = f"{field} IS NOT NULL AND {made} IS NULL" if _CASTS[kind] else "FALSE"
        if column in required:
            fails = f"({fails}) OR {field} IS NULL"
        failures.append(fails)
        if fails != "FALSE":
            query = f"SELECT rowid, {field} FROM incoming WHERE {fails}"
            for row, text in catalog.execute(query).fetchall():
                what = f"Could not parse '{text}' as {kind} for field {column} (position {position})"
                bad.append(_bad(uri, f"{what} in row {row + 1} with message 'Unable to parse'", row))
    condition = " OR ".join(f"({each})" for each in failures)
    good = f"SELECT {', '.join(expressions)} FROM incoming WHERE NOT coalesce({condition}, FALSE)"
    catalog.execute(f"INSERT INTO {table.storage} {good}")
    catalog.execute("DROP TABLE incoming")
    return bad


def _bad(uri: str, what: str, position: Any) -> dict[str, Any]:
    return {
        "reason": "invalid",
        "location": uri,
        "message": f"Error while reading data, error message: {what}; line_number/position: {position} File: {uri}",
    }


def _check_bad(bad: list[dict[str, Any]], configuration: dict[str, Any]) -> None:
    allowed = int(configuration.get("maxBadRecords") or 0)
    if len(bad) > allowed:
        message = (
            f"Error while reading data, error message: CSV processing encountered too many errors, giving up."
            f" Rows: {len(bad)}; errors: {len(bad)}; max bad: {allowed}; error percent: 0"
        )
        raise LoadError(message, bad[:5], configuration["sourceUris"][0])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
