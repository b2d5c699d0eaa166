from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from taxiway.loads.row_identity import digest, row_text, unique_row_ids, value_text, with_ids
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import Column, Layout, load_source
from tests.releases import on_mirror


def column(kind: str) -> Column:
    return Column(header="X", name="x", type=kind, description="x")


def md5(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def test_a_layout_is_named_by_its_columns_names_types_and_order() -> None:
    columns = on_mirror(load_source(SOURCES_FOLDER / "green.yaml")).columns
    renamed = Column(header="Y", name="y", type=columns[0].type, description="x")
    as_text = Column(header=columns[0].header, name=columns[0].name, type="text", description="x")
    reworded = Column(header=columns[0].header, name=columns[0].name, type=columns[0].type, description="y")
    rest = columns[1:]

    others = [columns[::-1], rest, (*columns, renamed), (renamed, *rest), (as_text, *rest)]

    assert len({Layout(each).name for each in [columns, *others]}) == 6
    assert Layout((reworded, *rest)).name == Layout(columns).name
    first_two = "".join(f"{column.name} {column.type}\n" for column in columns[:2])
    assert Layout(columns[:2]).name == hashlib.sha256(first_two.strip().encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("integer", "", "\\N"),
        ("integer", "1", "1"),
        ("integer", "1.0", "1"),
        ("integer", "-3", "-3"),
        ("numeric", ".79", "0.79"),
        ("numeric", "8.50", "8.5"),
        ("numeric", "8.0", "8"),
        ("numeric", "100", "100"),
        ("numeric", "0.00", "0"),
        ("numeric", "-0", "0"),
        ("numeric", "-.5", "-0.5"),
        ("numeric", "1e2", "100"),
        ("timestamp", "2020-04-01 00:44:02", "2020-04-01 00:44:02"),
        ("timestamp", "2020-04-01 00:44:00.000000", "2020-04-01 00:44:00"),
        ("timestamp", "2020-04-01 00:44:00.0", "2020-04-01 00:44:00"),
        ("text", "N", "N"),
        ("text", "1.0", "1.0"),
        ("text", "", "\\N"),
    ],
)
def test_values_are_written_as_specified(kind: str, value: str, text: str) -> None:
    assert value_text(column(kind), value) == text


def test_separators_keep_neighbours_apart() -> None:
    columns = [column("integer"), column("integer")]

    assert row_text(columns, ["1", "123"]) != row_text(columns, ["11", "23"])


def test_duplicates_are_numbered_from_the_second_on() -> None:
    columns = [column("numeric")]

    ids = unique_row_ids(columns, [["8"], ["8.0"], ["9"], ["8.00"]])

    assert list(ids) == [md5(b"8"), md5(b"8\x1f2"), md5(b"9"), md5(b"8\x1f3")]


def test_a_row_has_a_field_for_every_column() -> None:
    with pytest.raises(ValueError, match="shorter"):
        row_text([column("text"), column("text")], ["N"])


def test_ids_are_summed_up_in_any_order_and_form() -> None:
    assert digest(["b-2", "a1", "c3"]) == digest(["c3", "b2", "a1"]) == md5(b"a1\nb2\nc3")


def test_golden_files_and_rows(tlc: Path) -> None:
    golden = json.loads((tlc / "golden_row_ids.json").read_text())
    files = [entry for entry in golden["files"] if entry["file"].endswith(".csv.gz")]
    assert len(files) >= 8
    for entry in files:
        name = entry["file"].split("/")[1]
        source = on_mirror(load_source(SOURCES_FOLDER / f"{name}.yaml"))
        with gzip.open(tlc / entry["file"], "rt", newline="") as stream:
            _, *rows = csv.reader(stream)
        ids = list(unique_row_ids(source.columns, rows))
        assert (len(ids), digest(ids)) == (entry["rows"], entry["digest"]), entry["file"]
        for row in golden["rows"]:
            if row["file"] == entry["file"]:
                assert row_text(source.columns, rows[row["data_row"] - 1]) == row["text"].replace("␟", "\x1f")
                assert ids[row["data_row"] - 1] == row["unique_row_id"]


def test_rows_are_lines_behind_their_ids() -> None:
    rows = [b"1\x1f\\N", b"2\x1fa", b"1\x1f\\N"]

    assert with_ids([]) == b""
    assert with_ids(rows) == b"".join(md5(row).encode() + b"\x1f" + row + b"\n" for row in rows)
