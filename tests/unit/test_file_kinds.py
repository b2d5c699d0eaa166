"""What a file is, by its first bytes."""

from __future__ import annotations

import tarfile
from dataclasses import replace

import pytest

from taxiway.files.csv_header import read_row_shape
from taxiway.files.file_kinds import LOOK, describe_body, is_html, other_kind
from taxiway.sources.months import Month
from taxiway.sources.source import Source


@pytest.mark.parametrize("name", ["ORCID", "PAR1", "BZh", "FEA1", "ARROW1"])
def test_a_header_may_begin_like_another_format(name: str, green: Source) -> None:
    columns = (replace(green.columns[0], header=name, name=name.lower()), *green.columns[1:])
    head = ",".join(column.header for column in columns).encode() + b"\r\n" + b"1" + b"," * (len(columns) - 1)

    assert other_kind(head) is None
    assert read_row_shape(replace(green, columns=columns), Month(2019, 1), iter([head]))[1].columns == columns


SAVE = "Save it as CSV in UTF-8"
UNPACK = "Unpack it, compress the CSV file in it with gzip"
OTHER_FORMAT = "correct 'path' and 'format'"


@pytest.mark.parametrize(
    ("head", "name", "advice"),
    [
        (b"PAR1\x15\x04,\x15\n", "a Parquet file", OTHER_FORMAT),
        (b"PAR1,a\t\n", "a Parquet file", OTHER_FORMAT),
        (b"ORC\n\x0a\x04,1", "an ORC file", OTHER_FORMAT),
        (b"Obj\x01\x04", "an Avro file", OTHER_FORMAT),
        (b"ARROW1\0\0", "an Arrow file", OTHER_FORMAT),
        (b"FEA1\0", "a Feather file", OTHER_FORMAT),
        (b"SQLite format 3\0", "an SQLite database", OTHER_FORMAT),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file (OLE)", SAVE),
        (b"%PDF-1.7\n1,2", "a PDF document", OTHER_FORMAT),
        (b"PK\x03\x04green.csv", "a ZIP archive", UNPACK),
        (b"PK\x03\x04[Content_Types].xml", "an Excel workbook", SAVE),
        (b"PK\x03\x04".ljust(4096 - 19, b"\0") + b"[Content_Types].xml", "an Excel workbook", SAVE),
        (b"PK\x03\x04".ljust(4097 - 19, b"\0") + b"[Content_Types].xml", "a ZIP archive", UNPACK),
        (b"PK\x03\x04_rels/.rels".ljust(4093, b"\0") + b"xl/workbook.xml", "an Excel workbook", SAVE),
        (b"PK\x03\x04_rels/.rels".ljust(4094, b"\0") + b"xl/workbook.xml", "a ZIP archive", UNPACK),
        (b"PK\x05\x06", "an empty ZIP archive", LOOK),
        (b"7z\xbc\xaf\x27\x1cxl/", "a 7-Zip archive", UNPACK),
        (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
        (b"\x1f\x8b\x08", "a gzip file", "'format: csv.gz'"),
        (b"BZh91AY&SY\x8c,\n", "a bzip2 file", UNPACK),
        (b"\xfd7zXZ\0", "an xz file", UNPACK),
        (b"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
        (b"\x04\x22\x4d\x18", "an LZ4 file", UNPACK),
        (b"\xff\xfea\0,\0b\0", "text in UTF-16", SAVE),
        (b"\xfe\xff\0a\0,\0b", "text in UTF-16", SAVE),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "'git lfs pull'"),
    ],
)
def test_another_format_is_told_from_a_header(head: bytes, name: str, advice: str) -> None:
    kind = other_kind(head)
    assert kind is not None
    assert (kind.name, kind.detail, kind.described) == (name, "", name)
    assert advice in kind.advice


BOM = b"\xef\xbb\xbf"
PAGE = "Look at it in a browser"


@pytest.mark.parametrize(
    ("head", "name", "detail", "advice"),
    [
        (b"<html><title>Sign in</title>", "an HTML page", "title 'Sign in'", PAGE),
        (BOM + b" <!-- a --> <!DOCTYPE html>", "an HTML page", "without a title", PAGE),
        (
            b"<body><TITLE a='b'>\n Caf\xc3\xa9\xff &amp;\n bar\n</title>",
            "an HTML page",
            "title 'Café\ufffd & bar'",
            PAGE,
        ),
        (f"<html><title>{'x' * 81}</title>".encode(), "an HTML page", f"title '{'x' * 79}…'", PAGE),
        (BOM + b"\n<?xml version='1.0'?>", "an XML document", "it begins '<?xml version='1.0'?>'", LOOK),
        (b" <Error>x\xff </Error>", "an XML document", "it begins '<Error>x\ufffd </Error>'", LOOK),
        (BOM + b'[{"a": 1}]', "a JSON document", "it begins '[{\"a\": 1}]'", OTHER_FORMAT),
        (b' { "a": 1}', "a JSON document", "it begins '{ \"a\": 1}'", OTHER_FORMAT),
    ],
)
def test_a_document_is_quoted(head: bytes, name: str, detail: str, advice: str) -> None:
    kind = other_kind(head)
    assert kind is not None
    assert (kind.name, kind.detail, kind.described) == (name, detail, f"{name} ({detail})")
    assert advice in kind.advice
    assert is_html(head) == (name == "an HTML page")


@pytest.mark.parametrize("head", [b"", b"a,b\n1,2\n", b"<a>,b", b"<xml>", b"[a,b", b"{a", b"a" + BOM])
def test_anything_else_may_be_csv(head: bytes) -> None:
    assert other_kind(head) is None
    assert not is_html(head)


@pytest.mark.parametrize(("name", "shown"), [("grün.csv", "'grün.csv'"), ("a\udcff.csv", "'a\\udcff.csv'")])
def test_a_tar_archive_is_known_by_its_first_member(name: str, shown: str) -> None:
    header = tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    kind = other_kind(header + b"a,b\n" * 1000)
    assert kind is not None
    assert kind.described == f"a tar archive (its first member is {shown})"
    assert "'tar -xOf ARCHIVE MEMBER | gzip > FILE.csv.gz'" in kind.advice
    assert other_kind(header[:-1]) is None


@pytest.mark.parametrize(
    ("body", "content_type", "described", "advice"),
    [
        (b"", "", "an empty body (no Content-Type)", LOOK),
        (b"", " Text/HTML ; charset=x;y", "an empty body (text/html)", LOOK),
        (b"PK\x05\x06", "application/zip", "an empty ZIP archive (application/zip)", LOOK),
        (b"<html><title>Sign in</title>", "text/html", "an HTML page (text/html, title 'Sign in')", PAGE),
        (b"Sign in", "text/html; charset=utf-8", "an HTML page (text/html, without a title)", PAGE),
        (b"\x89PNG\r\n\x1a\n\0", "", "data (no Content-Type) that begins with the bytes 89 50 4e 47 0d 0a 1a 0a", LOOK),
        (b"a\0b", "x" * 61, f"data ({'x' * 59}…) that begins with the bytes 61 00 62", LOOK),
        (b"try\n again, later", "text/plain", "plain text (text/plain) that begins 'try again, later'", LOOK),
        (b"a,b\n1,2\n", "text/csv", "plain text (text/csv) that begins 'a,b 1,2'", "'gzip FILE.csv'"),
        (b"a,b", "", "plain text (no Content-Type) that begins 'a,b'", "'gzip FILE.csv'"),
        (b"ab\xffc", "", "data (no Content-Type) that begins with the bytes 61 62 ff 63", LOOK),
        (b"x" * 61, "", f"plain text (no Content-Type) that begins '{'x' * 59}…'", LOOK),
        (b"x" * 199 + "é".encode(), "", f"plain text (no Content-Type) that begins '{'x' * 59}…'", LOOK),
        (b"x" * 200 + b"\0", "", f"plain text (no Content-Type) that begins '{'x' * 59}…'", LOOK),
        (b"x" * 198 + b"\0", "", "data (no Content-Type) that begins with the bytes 78 78 78 78 78 78 78 78", LOOK),
    ],
    ids=range(15),
)
def test_a_body_is_described_with_its_type(body: bytes, content_type: str, described: str, advice: str) -> None:
    kind = describe_body(body, content_type)
    assert kind.described == described
    assert advice in kind.advice
