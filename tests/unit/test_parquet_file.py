"""A Parquet file becomes CSV whose rows have the ids of its values, and what is wrong with it is named."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import download_month
from taxiway.errors import DownloadError
from taxiway.files import parquet_file
from taxiway.files.file_format import BLOCK, CheckBrokenOffError, FileFaultError, NotOfTypeError, UnpackedSizeError
from taxiway.files.parquet_file import ParquetFile
from taxiway.loads.row_identity import digest, unique_row_ids
from taxiway.paths import ROOT
from taxiway.sources.source import Column, Layout, Source
from tests.mirror_faults import Answer, FaultyMirror
from tests.month_files import GREEN, MONTH

GOLDEN = ("2020-04", "2023-02", "2024-01", "2025-01")
FEE = Column("cbd_congestion_fee", "cbd_congestion_fee", "numeric", "US dollars")


def column(kind: str, name: str = "a") -> Column:
    return Column(name, name, kind, "for the test")


def write(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "month.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def read(path: Path, columns: Sequence[Column]) -> list[list[str]]:
    """The fields of the file's rows, behind its header."""
    blocks = b"".join(ParquetFile().blocks(path, Layout(tuple(columns))))
    return list(csv.reader(io.StringIO(blocks.decode(), newline="")))


def test_the_types_of_a_file_s_columns_are_types_of_a_source(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "id": pa.array([1], pa.int32()),
            " count ": pa.array([1], pa.uint64()),
            "fee": pa.array([1.5]),
            "exact": pa.array([Decimal("1.5")]),
            "at": pa.array([datetime(2019, 3, 1)], pa.timestamp("ns")),
            "day": pa.array([date(2019, 3, 1)]),
            "name": pa.array(["1"], pa.large_string()),
            "flag": pa.array(["1"]).dictionary_encode(),
            "yes": pa.array([True]),
            "nothing": pa.nulls(1),
        },
    )

    assert ParquetFile().declared_types(path) == {
        "id": "integer",
        "count": "integer",
        "fee": "numeric",
        "exact": "numeric",
        "at": "timestamp",
        "day": "timestamp",
        "name": "text",
        "flag": "text",
        "yes": "text",
    }


@pytest.mark.parametrize("month", GOLDEN)
def test_the_ids_of_the_official_files_are_those_computed_outside(green: Source, tlc: Path, month: str) -> None:
    path = tlc / "parquet" / f"green_tripdata_{month}.parquet"
    columns = (*green.layout_of(green.first_month).columns, *([FEE] if month == "2025-01" else []))
    header, *rows = read(path, columns)
    places = [[name.lower() for name in header].index(each.name) for each in columns]

    found = digest(unique_row_ids(columns, ([row[place] for place in places] for row in rows)))

    golden = {each["file"]: each for each in json.loads((tlc / "golden_row_ids.json").read_text())["files"]}
    assert (len(rows), found) == (golden[f"parquet/{path.name}"]["rows"], golden[f"parquet/{path.name}"]["digest"])


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        ("integer", pa.array([1, None, -7], pa.int64()), ["1", "", "-7"]),
        ("integer", pa.array([1.0, None, -0.0, 1.5, float("nan")]), ["1", "", "0", "1.5", "nan"]),
        ("integer", pa.array([None, None], pa.null()), ["", ""]),
        ("integer", pa.array(["1", "2.0", "", None]), ["1", "2.0", "", ""]),
        ("integer", pa.array([2**63], pa.uint64()), [str(2**63)]),
        ("numeric", pa.array([0.79, 8.0, 0.1 + 0.2, 1e-7, 1e22, float("-inf")]),
         ["0.79", "8", "0.30000000000000004", "0.0000001", "10000000000000000000000", "-inf"]),
        ("numeric", pa.array([0.1], pa.float32()), ["0.1"]),
        ("numeric", pa.array([Decimal("8.50"), Decimal("-0.0000001")]), ["8.5000000", "-0.0000001"]),
        ("timestamp", pa.array([datetime(2020, 1, 1, 1, 2, 3)], pa.timestamp("us")), ["2020-01-01 01:02:03"]),
        ("timestamp", pa.array([datetime(2020, 1, 1), datetime(1, 1, 1), datetime(9999, 12, 31)], pa.timestamp("ms")),
         ["2020-01-01 00:00:00", "0001-01-01 00:00:00", "9999-12-31 00:00:00"]),
        ("timestamp", pa.array([datetime(2020, 1, 1, microsecond=5)] * 2, pa.timestamp("ns")),
         ["2020-01-01 00:00:00.000005000"] * 2),
        ("timestamp", pa.array([datetime(2020, 1, 1), datetime(2020, 1, 1, microsecond=5)]),
         ["2020-01-01 00:00:00", "2020-01-01 00:00:00.000005"]),
        ("timestamp", pa.array([datetime(2020, 7, 1, tzinfo=timezone.utc)]), ["2020-07-01 00:00:00"]),
        ("timestamp", pa.array([date(2020, 7, 1)]), ["2020-07-01 00:00:00"]),
        ("timestamp", pa.array(["2020-07-01 00:00:00"]), ["2020-07-01 00:00:00"]),
        ("text", pa.array(["N", None, "", 'a "b", c', "a\rb", "Zoë"]), ["N", "", "", 'a "b", c', "a\rb", "Zoë"]),
        ("text", pa.array(["N", None], pa.large_string()), ["N", ""]),
        ("text", pa.array(["N", None, "N"]).dictionary_encode(), ["N", "", "N"]),
        ("text", pa.array([b"N", b"\xff"], pa.binary()), ["N", "\x1f\\xff"]),
        ("text", pa.array([1.0, 2.5, None]), ["1", "2.5", ""]),
        ("text", pa.array([1e22, float("nan"), float("inf"), float("-inf"), None], pa.float32()),
         ["10000000000000000000000", "\x1fnan", "\x1finf", "\x1f-inf", ""]),
        ("text", pa.array(["a\nb"]), ["\x1fa\\nb"]),
        ("text", pa.array([True, None]), ["\x1fbool: True", ""]),
        ("text", pa.array([datetime(2020, 1, 1)]), ["\x1f2020-01-01 00:00:00"]),
        ("numeric", pa.array([[1], None], pa.list_(pa.int64())), ["\x1flist<element: int64>: [1]", ""]),
    ],
)  # fmt: skip
def test_a_value_is_written_as_its_columns_type_has_it(
    tmp_path: Path, kind: str, values: pa.Array, texts: list[str]
) -> None:
    path = write(tmp_path, {"a": values, "b": pa.array(["x"] * len(values))})

    assert read(path, [column(kind)]) == [["a", "b"], *([text, "x"] for text in texts)]
    assert read(write(tmp_path, {"a": values}), [column(kind)])[1:] == [[text] for text in texts]


def test_days_that_no_warehouse_has_are_written_so_that_they_cannot_be_read(tmp_path: Path) -> None:
    days = [timedelta(days=-719529) // timedelta(seconds=1), 253402300800, 10**13]
    path = write(tmp_path, {"a": pa.array(days, pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp("ms"))})

    assert all(row[0].startswith("0000") or len(row[0]) != 19 for row in read(path, [column("timestamp")])[1:])


def test_a_time_in_a_zone_is_its_wall_clock_time(tmp_path: Path) -> None:
    values = pa.array([datetime(2020, 7, 1, 4, tzinfo=timezone.utc)], pa.timestamp("us", "America/New_York"))

    assert read(write(tmp_path, {"a": values}), [column("timestamp")])[1:] == [["2020-07-01 00:00:00"]]


SOUND: dict[str, tuple[pa.Array, list[str]]] = {
    "integer": (pa.array([1, None, -3], pa.int64()), ["1", "\\N", "-3"]),
    "numeric": (pa.array([0.1 + 0.2, -0.0, 1e22]), ["0.30000000000000004", "0", "10000000000000000000000"]),
    "timestamp": (pa.array([datetime(2020, 7, 1, 4, 5, 6)] * 3, pa.timestamp("us")), ["2020-07-01 04:05:06"] * 3),
    "text": (pa.array(["B.1-2:3_z", None, "N"]), ["B.1-2:3_z", "\\N", "N"]),
}


def texts(path: Path, kinds: Sequence[tuple[int, str]], **options: Any) -> list[list[str]]:
    """The values of the rows' texts."""
    lines = b"".join(ParquetFile().typed_lines(path, kinds, **options)).decode()
    return [line.split("\x1f") for line in lines.splitlines()]


def test_rows_are_written_as_the_texts_that_ids_are_made_from(tmp_path: Path) -> None:
    path = write(tmp_path, {kind: values for kind, (values, _) in SOUND.items()}, row_group_size=2)
    kinds = list(enumerate(SOUND))
    found = hashlib.sha256()

    rows = texts(path, kinds[::-1], digest=found)

    assert rows == [list(row) for row in zip(*(written for _, written in reversed(SOUND.values())), strict=True)]
    assert found.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert texts(path, kinds[1:2]) == [[text] for text in SOUND["numeric"][1]]


def test_texts_of_many_rows_come_in_blocks_that_the_limit_counts(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": pa.array(range(10_000)), "b": pa.array(["x"] * 10_000)})
    kinds = [(0, "integer"), (1, "text")]
    blocks = list(ParquetFile().typed_lines(path, kinds))
    size = sum(map(len, blocks))

    assert [block.count(b"\n") for block in blocks] == [4_096, 4_096, 1_808]
    assert texts(path, kinds, limit=size) == [[str(number), "x"] for number in range(10_000)]
    with pytest.raises(NotOfTypeError):
        texts(path, kinds, limit=size - 1)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("timestamp", pa.array([datetime(2020, 7, 1, microsecond=5)], pa.timestamp("us"))),
        ("timestamp", pa.array([datetime(2020, 7, 1), None], pa.timestamp("us"))),
        ("timestamp", pa.array([date(2020, 7, 1)])),
        ("timestamp", pa.array(["2020-07-01 00:00:00"])),
        ("timestamp", pa.nulls(1)),
        ("text", pa.array([1])),
        *(("text", pa.array(["N", text])) for text in ("", "a b", "N,Y", "é", "\\N", "N\n", "N\x1f")),
        ("numeric", pa.array([1.5, float("nan")])),
        ("integer", pa.array([float("inf")])),
        ("integer", pa.array(["7"])),
        ("numeric", pa.array([Decimal("8.50")])),
    ],
)
def test_values_that_need_a_closer_look_are_no_texts_of_rows(tmp_path: Path, kind: str, values: pa.Array) -> None:
    path = write(tmp_path, {"sound": pa.array([1] * len(values)), "a": values})

    assert texts(path, [(0, "integer")]) == [["1"]] * len(values)
    with pytest.raises(NotOfTypeError):
        texts(path, [(0, "integer"), (1, kind)])


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        ("integer", pa.nulls(1), "\\N"),
        ("numeric", pa.nulls(1), "\\N"),
        ("text", pa.nulls(1), "\\N"),
        ("integer", pa.array([None], pa.float64()), "\\N"),
        ("integer", pa.array([7.0]), "7"),
        ("numeric", pa.array([7], pa.int32()), "7"),
        ("text", pa.array(["N"], pa.large_string()), "N"),
        ("text", pa.array([b"N"]), "N"),
        ("text", pa.array(["N"]).dictionary_encode(), "N"),
        ("integer", pa.array([7]).dictionary_encode(), "7"),
    ],
)
def test_types_drift_where_no_value_changes(tmp_path: Path, kind: str, values: pa.Array, text: str) -> None:
    assert texts(write(tmp_path, {"a": values}), [(0, kind)]) == [[text]]


@pytest.mark.parametrize("codec", ["gzip", "zstd", "snappy", "none"])
@pytest.mark.parametrize("rows_of_a_group", [100, 20_000, 50_000])
def test_row_groups_and_compression_change_nothing(tmp_path: Path, codec: str, rows_of_a_group: int) -> None:
    values = [number % 977 / 4 if number % 5 else None for number in range(30_000)]
    texts = [f"text {number // 7 % 5_000}" if number % 3 else None for number in range(30_000)]
    columns = {"a": pa.array(values), "B": pa.array(texts)}
    path = write(tmp_path, columns, compression=codec, row_group_size=rows_of_a_group)

    contents = ParquetFile().check(path)
    rows = read(path, [column("numeric"), column("text", "b")])

    assert rows == [
        ["a", "B"],
        *(
            ["" if value is None else f"{value:.2f}".rstrip("0").removesuffix("."), text or ""]
            for value, text in zip(values, texts, strict=True)
        ),
    ]
    assert contents.unpacked == sum(map(len, ParquetFile().blocks(path, Layout((column("numeric"),)))))


def read_alone(path: Path) -> tuple[int, int, int]:
    """Read a file in a process of its own; return the bytes of its largest block, of all, and of Arrow's memory."""
    code = (
        "import sys, pyarrow; from pathlib import Path; from taxiway.files.parquet_blocks import csv_blocks\n"
        "sizes = [len(block) for block in csv_blocks(Path(sys.argv[1]), {})]\n"
        "print(max(sizes), sum(sizes), pyarrow.default_memory_pool().max_memory())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={"PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    largest, total, peak = map(int, done.stdout.split())
    return largest, total, peak


@pytest.mark.parametrize("length", [30_000, 100_000])
@pytest.mark.parametrize("as_dictionary", [False, True])
def test_a_long_text_that_the_file_holds_once_takes_little_memory(
    tmp_path: Path, length: int, as_dictionary: bool
) -> None:
    rows = 8_192
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), ["x" * length])
    path = write(tmp_path, {"a": texts, "b": [1] * rows}, store_schema=as_dictionary)
    largest, total, peak = read_alone(path)

    assert path.stat().st_size < 50_000
    assert total == len("a,b\n") + rows * (length + len(",1\n"))
    assert largest <= BLOCK
    assert peak < 200 * 1024**2
    assert ParquetFile().check(path).unpacked == total


@pytest.mark.parametrize("use_dictionary", [False, True])
def test_texts_that_all_differ_take_little_memory(tmp_path: Path, *, use_dictionary: bool) -> None:
    rows, length = 400_000, 100
    texts = pa.array([f"{number:0{length}d}" for number in range(rows)])
    path = write(tmp_path, {"a": texts, "b": [1] * rows}, use_dictionary=use_dictionary, row_group_size=rows)

    largest, total, peak = read_alone(path)

    assert total == len("a,b\n") + rows * (length + len(",1\n"))
    assert largest <= BLOCK
    assert peak < rows * length // 2


def test_blocks_are_whole_lines_however_values_grow_as_csv(tmp_path: Path) -> None:
    long = "x" * (BLOCK + 5)
    texts = ['"' * 200_000] * 10 + [long, "a", long]
    path = write(tmp_path, {"a": texts, "b": pa.array([1e300] * len(texts))})

    blocks = list(ParquetFile().blocks(path, Layout((column("text"),))))

    assert all(block.endswith(b"\n") for block in blocks)
    assert {block[:2] for block in blocks if len(block) > BLOCK} == {b"xx"}
    assert [block.count(b"\n") for block in blocks if len(block) > BLOCK] == [1, 1]
    csv.field_size_limit(2 * BLOCK)
    assert [row[0] for row in csv.reader(io.StringIO(b"".join(blocks).decode(), newline=""))] == ["a", *texts]


def test_digest_and_rows_are_of_one_file_if_another_takes_its_place_meanwhile(tmp_path: Path) -> None:
    earlier, later = tmp_path / "earlier", tmp_path / "later"
    earlier.mkdir(), later.mkdir()
    path, other = write(earlier, {"a": [1, 2]}), write(later, {"a": [3, 4, 5]})
    expected = hashlib.sha256(path.read_bytes()).hexdigest()

    class Replacing:
        """Is fed the file's bytes, and then puts the other file into its place, as a parallel run does."""

        found = hashlib.sha256()

        def update(self, block: bytes) -> None:
            self.found.update(block)
            if other.exists():
                other.replace(path)

    digest = Replacing()
    blocks = b"".join(ParquetFile().blocks(path, Layout((column("integer"),)), digest))

    assert (blocks, digest.found.hexdigest()) == (b"a\n1\n2\n", expected)


@pytest.mark.parametrize("lower", [True, False])
def test_the_check_keeps_to_a_lower_limit_of_memory(tmp_path: Path, lower: bool) -> None:
    path = write(tmp_path, {"a": [1, 2]})
    code = (
        "import resource, sys; from pathlib import Path; from taxiway.files.parquet_file import ParquetFile\n"
        "limit = int(sys.argv[2]); resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "print(ParquetFile().check(Path(sys.argv[1])).unpacked)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str((1 if lower else 4) * 1024**3)],
        env={"PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "6\n", done.stderr


def test_a_name_that_no_header_has_is_escaped(tmp_path: Path) -> None:
    path = write(tmp_path, {'a,"b"': [1], "c\nd": [2]})

    assert read(path, []) == [['a,"b"', "'c\\nd'"], ["1", "2"]]


def damaged(path: Path, change: str) -> None:
    body = bytearray(path.read_bytes())
    if change == "cut off":
        del body[len(body) // 2 :]
    elif change == "a footer of nonsense":
        body[-40:-8] = b"\xff" * 32
    elif change == "pages of nonsense":
        body[4:-1000] = b"\xff" * (len(body) - 1004)
    elif change == "empty":
        body.clear()
    elif change == "encrypted":
        body[-4:] = b"PARE"
    else:
        body = bytearray(b"VendorID,a\n1,2\n")
    path.write_bytes(bytes(body))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("cut off", r"a Parquet file that breaks off after \d+ bytes, before its footer"),
        ("a footer of nonsense", "a damaged Parquet file"),
        ("pages of nonsense", "a damaged Parquet file"),
        ("empty", "an empty body"),
        ("encrypted", "an encrypted Parquet file"),
        ("CSV", "plain text"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, change: str, found: str) -> None:
    path = write(tmp_path, {"a": list(range(3000)), "b": [f"text {number}" for number in range(3000)]})
    damaged(path, change)

    with pytest.raises(FileFaultError, match=found):
        ParquetFile().check(path)


def test_a_real_truncated_file_is_named(tlc: Path) -> None:
    with pytest.raises(FileFaultError, match="breaks off after") as caught:
        ParquetFile().check(tlc / "broken" / "green_tripdata_2025-02.truncated.parquet")
    assert caught.value.truncated


@pytest.mark.parametrize("options", [{"plaintext_footer": True}, {"plaintext_footer": False}], ids=str)
def test_a_file_that_says_it_is_encrypted_is_refused(tmp_path: Path, options: dict[str, bool]) -> None:
    import pyarrow.parquet.encryption as kms

    class Client(kms.KmsClient):  # type: ignore[misc]
        def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
            return key_bytes.hex().encode()

        def unwrap_key(self, wrapped_key: bytes, _: str) -> bytes:
            return bytes.fromhex(wrapped_key.decode())

    factory = kms.CryptoFactory(lambda _: Client())
    config = kms.EncryptionConfiguration(footer_key="key", column_keys={"key": ["a"]}, **options)
    table = pa.table({"a": [1, 2]})
    path = tmp_path / "month.parquet"
    properties = factory.file_encryption_properties(kms.KmsConnectionConfig(), config)
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)

    with pytest.raises(FileFaultError, match=r"encrypted|decrypt"):
        ParquetFile().check(path)


def end_the_check_with(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a program that sends itself a signal take the place of the one that checks files."""
    ended = folder / "python"
    ended.write_text(f"#!/bin/sh\nkill -{number} $$\n")
    ended.chmod(0o755)
    monkeypatch.setattr(parquet_file.sys, "executable", str(ended))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL"])
def test_a_reader_that_crashes_leaves_the_task_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = write(tmp_path, {"a": [1]})
    end_the_check_with(signal.Signals[name], tmp_path, monkeypatch)

    with pytest.raises(FileFaultError, match=f"its reader ended with {name}"):
        ParquetFile().check(path)


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (signal.SIGRTMIN + 3, "signal ")])
def test_a_check_that_something_else_ends_keeps_the_file_for_the_next_try(
    tmp_path: Path, mirror: FaultyMirror, cache: Cache, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    (release,) = GREEN.releases
    source = replace(GREEN, releases=(replace(release, path="green_{month}.parquet", format="parquet"),))
    body = write(tmp_path, {"a": list(range(1000))}).read_bytes()
    mirror.put("/" + source.file_path(MONTH), body)

    with requests.Session() as session:
        with monkeypatch.context() as patched:
            end_the_check_with(number, tmp_path, patched)
            with pytest.raises(DownloadError, match=f"found that {name}") as caught:
                download_month(session, mirror.url, source, MONTH, cache)
        download = download_month(session, mirror.url, source, MONTH, cache)

    assert str(caught.value).startswith(f"{source.name} {MONTH}")
    assert "What came is kept" in str(caught.value)
    assert Path(download.path).read_bytes() == body
    assert mirror.seen[1].headers["range"] == f"bytes={len(body) - 1}-"


def test_a_check_that_something_else_ends_says_if_the_next_try_starts_anew(
    tmp_path: Path, mirror: FaultyMirror, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror tells no version of the file from another, so nothing can be appended to what came."""
    (release,) = GREEN.releases
    source = replace(GREEN, releases=(replace(release, path="green_{month}.parquet", format="parquet"),))
    body = write(tmp_path, {"a": list(range(1000))}).read_bytes()
    mirror.put("/" + source.file_path(MONTH), Answer(body))

    with requests.Session() as session:
        with monkeypatch.context() as patched:
            end_the_check_with(signal.SIGKILL, tmp_path, patched)
            with pytest.raises(DownloadError, match="The next try starts anew") as caught:
                download_month(session, mirror.url, source, MONTH, cache)
        download = download_month(session, mirror.url, source, MONTH, cache)

    assert "What came is kept" not in str(caught.value)
    assert Path(download.path).read_bytes() == body
    assert "range" not in mirror.seen[1].headers


def test_a_missing_pyarrow_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError(\"No module named 'pyarrow'\")\n")
    path = write(tmp_path, {"a": [1]})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(CheckBrokenOffError, match="No module named 'pyarrow'"):
        ParquetFile().check(path)


def test_modules_where_the_task_runs_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"a": [1]})
    (tmp_path / "json.py").write_text("raise ImportError('not the library')\n")
    monkeypatch.chdir(tmp_path)

    assert ParquetFile().check(Path(path.name)).unpacked == 4


def test_arrow_is_imported_only_when_a_file_is_read() -> None:
    code = "import sys, taxiway.files.formats; print('pyarrow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("given", "taken"), [({}, "jemalloc"), ({"ARROW_DEFAULT_MEMORY_POOL": "system"}, "system")])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Arrow has its default allocator")
def test_arrow_has_one_allocator_which_gives_memory_back_and_no_pandas(
    tmp_path: Path, given: dict[str, str], taken: str
) -> None:
    """Arrow imports pandas, which takes 30 MiB, for Python's values that it is given."""
    day = datetime(2019, 1, 1)
    columns = {"integer": [1, 2], "numeric": [1e-7, None], "timestamp": [day, day], "text": ["N", None]}
    odd = {"odd": pa.array([b"\xff", b"a\nb"]), "other": [[1], None]}
    path = write(tmp_path, columns | odd)
    code = (
        "import sys; from pathlib import Path; from taxiway.files.parquet_file import ParquetFile\n"
        "from taxiway.sources.source import Layout\n"
        f"path, kinds = Path(sys.argv[1]), list(enumerate({list(columns)}))\n"
        "print(*ParquetFile().typed_lines(path, kinds), *ParquetFile().blocks(path, Layout(())))\n"
        "import pyarrow; print(pyarrow.default_memory_pool().backend_name, 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={"PYTHONPATH": str(ROOT / "plugins"), **given},
        capture_output=True,
        text=True,
        check=True,
    )
    rows, said = done.stdout.strip().rsplit("\n", 1)
    assert "0.0000001" in rows
    assert said == f"{taken} False"


def test_a_file_that_unpacks_to_too_much_is_not_read_on(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": ["the same text"] * 100_000, "b": ["again"] * 100_000})

    with pytest.raises(UnpackedSizeError):
        ParquetFile().check(path, limit=1_000_000)
    yielded = list[bytes]()
    with pytest.raises(UnpackedSizeError):
        yielded.extend(ParquetFile().blocks(path, Layout((column("text"),)), limit=1_000_000))
    assert sum(map(len, yielded)) <= 1_000_000
