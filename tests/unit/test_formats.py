"""Each format verifies its files, and yields the same CSV from them each time."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from taxiway.files.file_format import HEAD, FileFaultError, UnpackedSizeError
from taxiway.files.file_kinds import describe_body
from taxiway.files.formats import FORMATS, format_of
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources import release
from taxiway.sources.months import Month
from taxiway.sources.source import Layout, load_source

LAYOUT = Layout(load_source(SOURCES_FOLDER / "green.yaml").columns[:2])
CSV = b"VendorID,lpep_pickup_datetime\r\n" + b"2,2019-01-01 00:00:00\r\n" * 50_000
BODIES = {"csv.gz": gzip.compress(CSV, mtime=0), "csv": CSV}


def written(folder: Path, name: str, body: bytes) -> Path:
    path = folder / f"month.{name}"
    path.write_bytes(body)
    return path


def test_a_source_can_name_every_format() -> None:
    assert set(release.FORMATS) == set(FORMATS)


def test_a_months_format_is_that_of_its_release() -> None:
    green = load_source(SOURCES_FOLDER / "green.yaml")
    assert format_of(green, Month(2019, 1)) is FORMATS[green.release_of(Month(2019, 1)).format]


@pytest.mark.parametrize("name", BODIES)
def test_a_file_is_measured_and_read_alike(tmp_path: Path, name: str) -> None:
    path, form = written(tmp_path, name, BODIES[name]), FORMATS[name]
    contents = form.check(path, limit=len(CSV))
    assert (contents.size, contents.unpacked) == (len(BODIES[name]), len(CSV))
    assert (contents.sha256, contents.head) == (hashlib.sha256(BODIES[name]).hexdigest(), CSV[:HEAD])
    for _ in range(2):
        digest = hashlib.sha256()
        assert b"".join(form.blocks(path, LAYOUT, digest, limit=len(CSV))) == CSV
        assert digest.hexdigest() == contents.sha256


@pytest.mark.parametrize("name", BODIES)
def test_a_file_that_unpacks_to_too_much_is_not_read_on(tmp_path: Path, name: str) -> None:
    path, form = written(tmp_path, name, BODIES[name]), FORMATS[name]
    with pytest.raises(UnpackedSizeError):
        form.check(path, limit=len(CSV) - 1)
    yielded = list[bytes]()
    with pytest.raises(UnpackedSizeError):
        yielded.extend(form.blocks(path, LAYOUT, limit=len(CSV) - 1))
    assert sum(map(len, yielded)) < len(CSV)


OTHER_KINDS = [b"", b"<html><title>Sign in</title>", b"PK\x03\x04" + bytes(100), b"\x00\x01\x02"]


# A row of CSV may hold any bytes: it is rejected by its line.
@pytest.mark.parametrize(
    ("name", "body"),
    [(name, body) for name in FORMATS for body in OTHER_KINDS if (name, body) != ("csv", OTHER_KINDS[-1])],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str, body: bytes) -> None:
    kind = FORMATS[name].other_kind(body, "text/html")
    assert kind is not None
    assert kind.described.startswith(("an empty body", "an HTML page", "a ZIP archive", "data"))
    assert kind.advice
    with pytest.raises(FileFaultError):
        FORMATS[name].check(written(tmp_path, name, body))


@pytest.mark.parametrize("name", BODIES)
def test_the_first_bytes_of_a_file_are_no_other_kind(name: str) -> None:
    assert FORMATS[name].other_kind(BODIES[name][:HEAD], "") is None
    assert FORMATS[name].other_kind(BODIES[name][:20], "") is None


def test_a_gzip_file_is_no_csv_and_csv_is_no_gzip_file() -> None:
    gzipped, plain = FORMATS["csv"].other_kind(BODIES["csv.gz"], ""), FORMATS["csv.gz"].other_kind(CSV[:100], "")
    assert gzipped is not None
    assert "'format: csv.gz'" in gzipped.advice
    assert plain is not None
    assert "'format: csv'" in plain.advice


def test_what_a_gzip_file_holds_is_no_csv() -> None:
    """Another gzip file may be the server's doing, which is undone later."""
    form, page = FORMATS["csv.gz"], gzip.compress(b"<html><title>Sign in</title>")
    kind = form.other_kind(page, "text/html")

    assert kind is not None
    assert kind.described == "a gzip file that holds an HTML page (text/html, title 'Sign in')"
    assert kind.advice == describe_body(b"<html><title>Sign in</title>", "text/html").advice
    assert form.other_kind(gzip.compress(page), "text/html") is None


@pytest.mark.parametrize(("inside", "named"), [(gzip.compress(CSV), "inside a gzip file"), (b"", "with nothing in it")])
def test_a_gzip_file_must_hold_csv(tmp_path: Path, inside: bytes, named: str) -> None:
    with pytest.raises(FileFaultError, match=f"^a gzip file {named}$"):
        FORMATS["csv.gz"].check(written(tmp_path, "csv.gz", gzip.compress(inside)))
