"""CSV that isn't canonical is written as COPY reads it in one way only, or left to others if a value could change."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from taxiway.files.csv_columns import ColumnRows
from taxiway.sources.source import Column

TIME = "2019-01-05 00:44:02"
GOOD = f"N,{TIME},1,1"


def columns(types: Sequence[str] = ("text", "timestamp", "integer", "numeric")) -> list[Column]:
    return [Column(f"c{number}", f"c{number}", kind, "a column") for number, kind in enumerate(types)]


@pytest.mark.parametrize(
    ("saved", "written"),
    [
        (f'"N","{TIME}","1","1.50"', f"N,{TIME},1,1.50"),
        (f'"",{TIME},"",""', f",{TIME},,"),
        ('"",,"",', ",,,"),
        (f'"N"Y,{TIME},1,1', f"NY,{TIME},1,1"),
        *((f"N,{TIME}.{'0' * digits},1,1", GOOD) for digits in range(1, 10)),
        (f"N,{TIME},1.0,1.0", f"N,{TIME},1,1.0"),
        (f"N,{TIME},-7.,-7.", f"N,{TIME},-7,-7."),
        (f"N,{TIME},0012.000,.5", f"N,{TIME},0012,.5"),
        *((f"{text},{TIME},1,1", f"{text},{TIME},1,1") for text in (" ", "B00254  ", "É日", TIME, "NAN", "0X1", "'")),
    ],
)
def test_what_is_written_otherwise_is_written_for_copy(saved: str, written: str) -> None:
    rows = ColumnRows(columns())
    lines = f"{GOOD}\r\n\r\n{saved}\r\n\n{GOOD}\r\n\r\n"

    assert rows.rows_of(lines.encode()) == f"{GOOD}\n{written}\n{GOOD}\n".encode()
    assert rows.rows_of(saved.encode()) == f"{written}\n".encode(), "the last line has no end"
    assert rows.count == 4
    assert rows.rows_of(GOOD.encode()) is None, "nothing may follow that"


def test_a_text_with_a_comma_puts_all_in_quotation_marks() -> None:
    rows = ColumnRows(columns(("text", "integer", "text")))

    assert rows.rows_of(b'"a,b",1.0,\n,,c\n') == b'"a,b","1",""\n"","","c"\n'


def test_an_empty_text_is_a_row_of_one_column_and_an_empty_line_is_none() -> None:
    for kind in ("text", "integer"):
        rows = ColumnRows(columns((kind,)))

        assert rows.rows_of(b'1\n\n""\n\n') == b"1\n\n"
        assert rows.count == 2


@pytest.mark.parametrize(
    "odd",
    [
        f'N"",{TIME},1,1',
        f'N"Y",{TIME},1,1',
        f'"N""Y",{TIME},1,1',
        f'"N,{TIME},1,1',
        f'"N,{TIME},1,1\nN",{TIME},1,1',
        f'"N\n\n",{TIME},1,1',
        f'"N\r",{TIME},1,1',
        f"\\N,{TIME},1,1",
        f"a\x1fb,{TIME},1,1",
        f"\udcff,{TIME},1,1",
        f"N,{TIME},1",
        f"N,{TIME},1,1,",
        f"{GOOD}\r{GOOD}",
        f"{GOOD}\r\r",
        f"N,{TIME}.,1,1",
        f"N,{TIME}.5,1,1",
        f"N,{TIME}.000001,1,1",
        f"N,{TIME}.0000000000,1,1",
        f"N,{TIME}Z,1,1",
        "N,2019-01-05.000 00:44:02,1,1",
        "N,2019-01-05 24:00:00.000,1,1",
        "N,2019-01-05 00:44:60,1,1",
        "N,2019-01-05,1,1",
        "N,TODAY,1,1",
        "N,\u0662019-01-05 00:44:02,1,1",
        f'N,{TIME},1,"1,5"',
        f"N,{TIME},+1.0,1",
        f"N,{TIME},1.0 ,1",
        f"N,{TIME},0X1,1",
        f"N,{TIME},1,1e5",
        f"N,{TIME},1,NAN",
        f"N,{TIME},1,\0",
    ],
)
def test_what_may_be_another_row_or_value_is_left_to_others(odd: str) -> None:
    for lines in (f"{odd}\n", f"{GOOD}\n{odd}\n{GOOD}\n", f"{GOOD}\n{odd}", f"\n{odd}\n", f"{odd}\n{odd}\n"):
        assert ColumnRows(columns()).rows_of(lines.encode("utf-8", "surrogateescape")) is None, lines


def test_a_byte_order_mark_is_not_dropped_from_a_text() -> None:
    """Arrow drops one at the beginning of what it reads."""
    assert ColumnRows(columns()).rows_of(f"\ufeff{GOOD}\n".encode()) is None
    assert ColumnRows(columns()).rows_of(f"{GOOD}\n\ufeff{GOOD}\n".encode()) == f"{GOOD}\n\ufeff{GOOD}\n".encode()


@pytest.mark.parametrize("odd", [".0", "1.5", "-", "1.0.0", "2147483648.0", "-.0"])
def test_what_is_no_integer_stays_one_that_copy_refuses(odd: str) -> None:
    line = f"N,{TIME},{odd},1\n".encode()
    kept = f"N,{TIME},2147483648,1\n".encode() if odd.startswith("2") else line

    assert ColumnRows(columns()).rows_of(line) == kept


@pytest.mark.parametrize("lines", [b"", b"\n", b"\r\n\n"])
def test_nothing_comes_of_nothing(lines: bytes) -> None:
    rows = ColumnRows(columns())

    assert not rows.rows_of(lines)
    assert rows.count == 0


def test_pandas_is_not_imported() -> None:
    script = (
        "import sys; from taxiway.files.csv_columns import ColumnRows; from taxiway.sources.source import Column;"
        "rows = ColumnRows([Column('a', 'a', 'text', ''), Column('b', 'b', 'timestamp', '')]);"
        f"assert rows.rows_of(b'n,{TIME}\\n'); assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
