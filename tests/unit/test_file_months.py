"""What a month must hold by its file: the ids of the specification, exact sums, and what can't be read."""

from __future__ import annotations

import csv
import hashlib
from decimal import Decimal
from pathlib import Path

import pytest

from taxiway.compare.comparison import compare_months
from taxiway.errors import ComparisonError, HeaderError
from taxiway.loads import file_months
from taxiway.loads.file_months import FileMonth, FileMonths
from taxiway.loads.row_identity import unique_row_ids
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month
from tests.loading import lines_of, source_file, specified_ids, write_gzip

MONTH = Month(2019, 1)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, green: Source) -> Path:
    """A sample month with a few duplicate rows, one of them three times."""
    folder = tmp_path_factory.mktemp("files")
    write_sample_month(green, MONTH, folder / "sample.csv.gz", rows=400)
    header, *rows = lines_of(folder / "sample.csv.gz")
    return write_gzip(folder / green.download_name(MONTH), [header, *rows, rows[0], rows[7], rows[0]])


def all_ids(month: FileMonth) -> list[str]:
    return [row_id for part in month.digests() for row_id in month.ids(part)]


def test_ids_are_those_of_the_specification(path: Path, green: Source) -> None:
    month = FileMonth(green, MONTH, source_file(path))

    assert all_ids(month) == sorted(specified_ids(green, path))
    assert month.sums()["row_count"] == "403"
    for part, (count, digest) in month.digests().items():
        ids = month.ids(part)
        assert {row_id[:2] for row_id in ids} == {part}
        assert (count, digest) == (len(ids), hashlib.md5("\n".join(ids).encode()).hexdigest())


@pytest.mark.parametrize("most_known", [1, 3, 50_000])
def test_sums_are_exact(path: Path, green: Source, monkeypatch: pytest.MonkeyPatch, most_known: int) -> None:
    monkeypatch.setattr(file_months, "_MOST_KNOWN", most_known)
    sums = FileMonth(green, MONTH, source_file(path)).sums()

    header, *rows = (next(csv.reader([line])) for line in lines_of(path))
    places = {name.lower(): place for place, name in enumerate(header)}
    numeric = [column.name for column in green.layout_of(MONTH).columns if column.type == "numeric"]
    assert set(sums) == {"row_count", *numeric}
    for name in numeric:
        values = [Decimal(row[places[name]]) for row in rows if row[places[name]]]
        found = sums[name]
        assert (None if found is None else Decimal(found)) == (sum(values) if values else None)
    assert sums["ehail_fee"] is None


def test_rejected_and_empty_lines_are_left_out(path: Path, green: Source, tmp_path: Path) -> None:
    header, *rows = lines_of(path)
    odd = write_gzip(tmp_path / "odd.csv.gz", [header, rows[0], "1,2", "", rows[1].replace(",", ',"",', 1)])

    month = FileMonth(green, MONTH, source_file(odd), {3, 5})
    assert month.sums()["row_count"] == "1"
    with pytest.raises(ComparisonError, match=r"line 5 of the file can't be read \(21 fields, expected 20\)"):
        FileMonth(green, MONTH, source_file(odd), {3}).sums()
    word = write_gzip(tmp_path / "word.csv.gz", [header, "x" + rows[0]])
    with pytest.raises(ComparisonError, match="line 2 of the file can't be read"):
        FileMonth(green, MONTH, source_file(word)).sums()
    with pytest.raises(HeaderError):
        FileMonth(green, MONTH, source_file(write_gzip(tmp_path / "other.csv.gz", ["a,b", "1,2"]))).sums()


def test_fields_are_read_in_the_order_of_the_header(path: Path, green: Source, tmp_path: Path) -> None:
    rows = [line.split(",") for line in lines_of(path)]
    turned = write_gzip(tmp_path / "turned.csv.gz", [",".join([f'"{row[-1]}"', *row[:-1]]) for row in rows])

    found = all_ids(FileMonth(green, MONTH, source_file(turned)))

    assert found == sorted(unique_row_ids(green.layout_of(MONTH).columns, rows[1:]))


def test_two_files_are_compared_as_warehouses_are(path: Path, green: Source, tmp_path: Path) -> None:
    shorter = write_gzip(tmp_path / "shorter.csv.gz", lines_of(path)[:-1])
    left, right = (FileMonths(FileMonth(green, MONTH, source_file(each))) for each in (path, shorter))

    assert compare_months(left, left, green, [MONTH]).same == {"green 2019-01": 403}
    (difference,) = compare_months(left, right, green, [MONTH]).differences
    assert difference.startswith("green 2019-01: rows: 403 in the file, 402 in the file; ")
