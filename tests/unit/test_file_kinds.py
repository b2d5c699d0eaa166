"""What a file is, by its first bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taxiway.files.csv_header import read_layout
from taxiway.files.file_kinds import other_kind
from taxiway.sources.months import Month
from taxiway.sources.source import Source


@pytest.mark.parametrize("name", ["ORCID", "PAR1", "BZh", "FEA1", "ARROW1"])
def test_a_header_may_begin_like_another_format(name: str, green: Source) -> None:
    columns = (replace(green.columns[0], header=name, name=name.lower()), *green.columns[1:])
    head = ",".join(column.header for column in columns).encode() + b"\r\n" + b"1" + b"," * (len(columns) - 1)

    assert other_kind(head) is None
    assert read_layout(replace(green, columns=columns), Month(2019, 1), iter([head]))[1].columns == columns


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"ORC\n\x0a\x04,1", "an ORC file"),
        (b"PAR1\x15\x04,\x15\n", "a Parquet file"),
        (b"BZh91AY&SY\x8c,\n", "a bzip2 file"),
        (b"%PDF-1.7\n1,2", "a PDF document"),
    ],
)
def test_another_format_is_told_from_a_header(head: bytes, name: str) -> None:
    kind = other_kind(head)
    assert kind is not None
    assert kind.name == name
