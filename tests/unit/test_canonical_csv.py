from __future__ import annotations

import pytest

from taxiway.files.canonical_csv import CanonicalRows
from taxiway.sources.source import Column

TIME = "2019-01-05 00:44:02"
TYPES = ("integer", "timestamp", "timestamp", "text", "numeric")
CANONICAL = f"1,{TIME},{TIME},N,-.50"


ORDERS = (
    TYPES,
    ("timestamp", "timestamp", "integer", "text", "numeric"),
    ("integer", "text", "numeric", "timestamp", "timestamp"),
    ("timestamp", "integer", "text", "numeric", "timestamp"),
    ("integer", "timestamp", "text", "timestamp", "numeric"),
)
"""Side by side within the row, at its start, at its end; one at each end, apart."""


def columns(types: tuple[str, ...] = TYPES) -> list[Column]:
    return [Column(f"c{number}", f"c{number}", kind, "a column") for number, kind in enumerate(types)]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize(
    ("types", "row"),
    [
        (TYPES, CANONICAL),
        (TYPES, f",{TIME},{TIME},,"),
        *(
            (
                types,
                ",".join({"integer": "1", "timestamp": TIME, "text": "N", "numeric": "-.50"}[kind] for kind in types),
            )
            for types in ORDERS
        ),
        (("timestamp", "timestamp"), f"{TIME},{TIME}"),
        (("integer", "timestamp", "timestamp", "timestamp"), f"1,{TIME},{TIME},{TIME}"),
        (("integer", "timestamp", "text", "text", "timestamp", "text"), f"1,{TIME},N,N,{TIME},N"),
        (("timestamp",), TIME),
        (("integer", "text"), "1,Y"),
    ],
)
def test_canonical_rows(types: tuple[str, ...], row: str, end: str) -> None:
    rows = CanonicalRows(columns(types))

    assert rows.add(f"{row}\n{row}\n".replace("\n", end or "\n").encode())
    assert rows.add(f"{row}{end}".encode())
    assert rows.count == 3


@pytest.mark.parametrize("types", ORDERS)
@pytest.mark.parametrize(
    "row",
    [
        CANONICAL.replace("-.50", "NaN"),
        CANONICAL.replace("-.50", "1e5"),
        CANONICAL.replace("-.50", "1_000"),
        CANONICAL.replace("-.50", " 5"),
        CANONICAL.replace(",N,", ',"N",'),
        CANONICAL.replace(",N,", ",é,"),
        CANONICAL.replace(",N,", ",\0,"),
        CANONICAL.replace(",N,", ",\\N,"),
        *(
            CANONICAL.replace(TIME, odd, 1)
            for odd in (
                "",
                "2019-01-05",
                "20190105",
                "20190105 004402",
                "2019-01-05 00:44",
                "2019-1-5 0:44:02",
                "2019-01-05 24:00:00",
                "2019-01-05 00:44:60",
                "2019-01-05 00:44:02.5",
                "2019-01-05 00:44:02-05",
                "2019-01-05  00:44:02",
                "12019-01-05 00:44:02",
                "-2019-01-05 00:44:02",
            )
        ),
    ],
)
def test_anything_else_is_not(row: str, types: tuple[str, ...]) -> None:
    """The fields of a row, put in the columns' order."""
    fields, canonical = (dict(zip("itTxn", text.split(","), strict=True)) for text in (row, CANONICAL))
    order = {"timestamp": iter("tT"), "integer": iter("i"), "text": iter("x"), "numeric": iter("n")}
    keys = [next(order[kind]) for kind in types]
    bad, good = (",".join(of[key] for key in keys) for of in (fields, canonical))
    assert CanonicalRows(columns(types)).add(f"{good}\n{good}\n".encode())

    for before in ("", f"{good}\n"):
        assert not CanonicalRows(columns(types)).add(f"{before}{bad}\n{good}\n".encode())


@pytest.mark.parametrize("base", ["B00254", "HV0003", "A", "0", "-", "UNKNOWN"])
def test_a_source_without_decimal_numbers_may_have_words(base: str) -> None:
    assert CanonicalRows(columns(("text", "timestamp", "integer"))).add(f"{base},{TIME},\nN,{TIME},7\n".encode())
    assert CanonicalRows(columns(("integer", "text"))).add(f",{base}\n".encode())


@pytest.mark.parametrize("odd", ['"B1"', 'B"1', "B\\1", "\\N", "\\."])
def test_what_means_something_to_copy_is_no_word(odd: str) -> None:
    assert not CanonicalRows(columns(("text", "timestamp", "integer"))).add(f"{odd},{TIME},7\n".encode())
    assert not CanonicalRows(columns(("text",))).add(f"{odd}\n".encode())


def test_a_word_beside_a_decimal_number_takes_a_closer_look() -> None:
    """NaN, 1E5 and INFINITY are numbers, too."""
    assert not CanonicalRows(columns(("text", "numeric"))).add(b"B00254,1.5\n")


@pytest.mark.parametrize("odd", ["0B1", "0X1F", "0O7", "-0X1", "1_000", " 7", "7 ", "0b1", "0x1f", "+7", "1e5"])
def test_a_number_of_another_base_is_no_word(odd: str) -> None:
    """Postgres would read it as an integer, and the steps for other files reject it or read it otherwise."""
    assert not CanonicalRows(columns(("text", "timestamp", "integer"))).add(f"B00254,{TIME},{odd}\n".encode())


@pytest.mark.parametrize(
    "odd", ["", f"{TIME}Z", "2019-01-05T00:44:02", "TODAY", "INFINITY", "2019-JAN-05 00:44:02", "2019-01-05 24:00:00"]
)
def test_a_word_is_no_time(odd: str) -> None:
    assert not CanonicalRows(columns(("text", "timestamp", "integer"))).add(f"B00254,{odd},7\n".encode())


def test_nothing_may_follow_a_line_without_end() -> None:
    rows = CanonicalRows(columns())

    assert rows.add(CANONICAL.encode())
    assert not rows.add(f"{CANONICAL}\n".encode())


@pytest.mark.parametrize(
    ("types", "row", "canonical"), [(("integer",), b"1", False), (("integer", "text"), b"1,Y", True)]
)
def test_an_empty_line_is_a_row_of_one_column(types: tuple[str, ...], row: bytes, canonical: bool) -> None:
    """In a row of several columns, COPY refuses it by itself."""
    assert CanonicalRows(columns(types)).add(row + b"\n" + row)
    assert CanonicalRows(columns(types)).add(row + b"\n\n" + row) is canonical


@pytest.mark.parametrize("odd", ["2019-01-05 24:00:00", "2019-01-05 00:44:60"])
@pytest.mark.parametrize("before", [0, 1, 20_000])
@pytest.mark.parametrize("end", ["", "\n"])
def test_another_way_to_write_a_time_is_seen_wherever_it_stands(odd: str, before: int, end: str) -> None:
    """In the second timestamp too, in a long block, and as the very last bytes."""
    good = f"{CANONICAL}\n" * before
    assert not CanonicalRows(columns()).add(f"{good}1,{TIME},{odd},N,1{end}".encode())
    times = columns(("timestamp", "timestamp"))
    assert not CanonicalRows(times).add(f"{f'{TIME},{TIME}' + chr(10)}{TIME},{odd}{end}".encode())


def test_nothing_behind_a_nul_is_overlooked() -> None:
    assert not CanonicalRows(columns()).add(
        f"{CANONICAL}\n1,{TIME},{TIME},\0,1\n1,{TIME},2019-01-05 24:00:00,N,1\n".encode()
    )
