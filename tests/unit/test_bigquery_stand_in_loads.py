"""Load jobs and EXTERNAL tables of the stand-in."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, MethodNotImplemented, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as real
from google.cloud import storage

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage

TYPES = {"n": "INT64", "m": "NUMERIC", "at": "DATETIME", "s": "STRING"}
FILE = b'n,m,at,s\r\n1,.79,2020-04-01 00:44:02,a\r\n,,,\r\n-2,8,2020-04-01 00:00:00,"x,""y"""\r\n3,1,,""\r\n'


class Bucket:
    """A bucket and a dataset, with the real clients."""

    def __init__(self) -> None:
        credentials = AnonymousCredentials()
        self.objects = storage.Client(project="p-1", credentials=credentials).create_bucket("files")
        self.client = real.Client(project="p-1", credentials=credentials, location="US")
        self.client.create_dataset("d")

    def load(self, content: bytes, types: dict[str, str] = TYPES, **options: Any) -> real.LoadJob:
        self.objects.blob("x.csv.gz").upload_from_string(content)
        return self.load_uri("gs://files/x.csv.gz", types, **options)

    def load_uri(self, uri: str, types: dict[str, str] | None = TYPES, **options: Any) -> real.LoadJob:
        schema = [real.SchemaField(name, kind) for name, kind in types.items()] if types else None
        given = {"source_format": "CSV", "skip_leading_rows": 1, "schema": schema, **options}
        job = self.client.load_table_from_uri(uri, "p-1.d.t", job_config=real.LoadJobConfig(**given))
        job.result()
        return job

    def rows(self, table: str = "t") -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(f"SELECT * FROM d.{table} ORDER BY n", job_retry=None).result()]


@pytest.fixture
def bucket(bigquery: StandIn, cloud_storage: CloudStorage) -> Bucket:
    return Bucket()


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_reads_fields_as_their_columns_say(bucket: Bucket, pack: Any) -> None:
    job = bucket.load(pack(FILE))
    assert (job.output_rows, job.input_file_bytes) == (4, len(pack(FILE)))
    rows = [(n, m if m is None else str(m), at and str(at), s) for n, m, at, s in bucket.rows()]
    assert rows == [
        (None, None, None, None),
        (-2, "8", "2020-04-01 00:00:00", 'x,"y"'),
        (1, "0.79", "2020-04-01 00:44:02", "a"),
        # A quoted field is a text, though empty; BigQuery makes no NULL of it.
        (3, "1", None, ""),
    ]


def test_dispositions(bucket: Bucket) -> None:
    with pytest.raises(NotFound):
        bucket.load(FILE, create_disposition="CREATE_NEVER")
    bucket.load(FILE)
    assert bucket.load(FILE).output_rows == 4
    assert len(bucket.rows()) == 8
    with pytest.raises(Conflict):
        bucket.load(FILE, write_disposition="WRITE_EMPTY")
    bucket.load(FILE, write_disposition="WRITE_TRUNCATE")
    assert len(bucket.rows()) == 4
    with pytest.raises(BadRequest, match="does not match"):
        bucket.load(FILE, {"n": "STRING"})


def test_a_missing_object_is_named(bucket: Bucket) -> None:
    with pytest.raises(NotFound, match="Not found: URI gs://files/nothing"):
        bucket.load_uri("gs://files/nothing")
    with pytest.raises(NotFound):
        bucket.load_uri("gs://nowhere/x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"h\nx,1,,\n", "Could not parse 'x' as INT64 for field n"),
        (b"h\n1.0,1,,\n", "Could not parse '1.0' as INT64"),
        (b"h\n1,1,1/1/2019 0:46,\n", "DATETIME for field at"),
        (b"h\n1,2\n", "CSV table"),
        (b"h\n1,2,,,5\n", "CSV table"),
    ],
)
def test_a_bad_record_fails_the_job_unless_it_may_be_skipped(bucket: Bucket, content: bytes, message: str) -> None:
    content += b"7,7,,good\n"
    with pytest.raises(BadRequest, match="too many errors"):
        bucket.load(content)
    job = next(iter(bucket.client.list_jobs(max_results=1)))
    assert message in job.errors[0]["message"]
    assert [each.table_id for each in bucket.client.list_tables("d")] == []
    bucket.load(content, max_bad_records=1)
    assert [row[0] for row in bucket.rows()] == [7]


def test_a_file_that_is_cut_off_fails_the_job(bucket: Bucket) -> None:
    with pytest.raises(BadRequest, match="gzip"):
        bucket.load(gzip.compress(FILE)[:-9], max_bad_records=100)


def test_a_quote_that_is_not_closed_fails_the_job(bucket: Bucket) -> None:
    with pytest.raises(BadRequest, match="Missing close double quote"):
        bucket.load(b'h\n1,2,,"unclosed\n3,4,,x\n', max_bad_records=100, allow_quoted_newlines=True)


def test_quoted_newlines_need_permission(bucket: Bucket) -> None:
    content = b'h\n1,2,,"a\nb"\n'
    with pytest.raises(BadRequest, match="Missing close double quote"):
        bucket.load(content)
    bucket.load(content, allow_quoted_newlines=True)
    assert bucket.rows()[0][3] == "a\nb"


def test_bytes_that_are_no_text(bucket: Bucket) -> None:
    bucket.load(b"h\n1,2,,caf\xe9\n")
    assert bucket.rows()[0][3] == "caf\ufffd"
    with pytest.raises(BadRequest, match="ASCII 0"):
        bucket.load(b"h\n1,2,,a\x00b\n")
    with pytest.raises(MethodNotImplemented, match="control characters"):
        bucket.load(b"h\n1,2,,a\x1fb\n")
    bucket.load(b"h\n3,2,,a\x1fb\x00\n", preserve_ascii_control_characters=True)
    assert bucket.rows()[1][3] == "a\x1fb\x00"


@pytest.mark.parametrize(
    "options",
    [
        {"source_format": "PARQUET"},
        {"autodetect": True},
        {"ignore_unknown_values": True},
        {"encoding": "ISO-8859-1"},
        {"schema_update_options": ["ALLOW_FIELD_ADDITION"]},
        {"column_name_character_map": "V2"},
    ],
)
def test_refuses_options_that_it_does_not_know(bucket: Bucket, options: dict[str, Any]) -> None:
    with pytest.raises(MethodNotImplemented):
        bucket.load(FILE, **options)
    assert [each.table_id for each in bucket.client.list_tables("d")] == []


def test_an_external_table_reads_its_object(bucket: Bucket) -> None:
    bucket.objects.blob("x.csv.gz").upload_from_string(gzip.compress(FILE))
    options = "format = 'CSV', uris = ['gs://files/x.csv.gz'], skip_leading_rows = 1"
    statement = (
        f"CREATE OR REPLACE EXTERNAL TABLE d.e (n INT64, m NUMERIC, `at` DATETIME, s STRING) OPTIONS ({options})"
    )
    bucket.client.query(statement, job_retry=None).result()
    assert [row[0] for row in bucket.rows("e")] == [None, -2, 1, 3]
    bucket.objects.blob("x.csv.gz").upload_from_string(b"h\n5,,,\n")
    assert [row[0] for row in bucket.rows("e")] == [5]
    assert bucket.client.get_table("d.e").table_type == "EXTERNAL"
    bucket.objects.delete_blob("x.csv.gz")
    with pytest.raises(NotFound, match="Not found: URI"):
        bucket.client.query("SELECT * FROM d.e", job_retry=None).result(job_retry=None)
