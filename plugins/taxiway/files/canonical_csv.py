"""Finds out whether a file is canonical CSV, from whole blocks and without cutting it into fields.

Postgres reads more than a source's files hold: ``NaN``, ``0x1A``, ``1_000``, ``today``,
``1/5/2019``, a time zone that it drops. It reads canonical CSV in one way only, so such a file
can go into typed columns as it is. Every other file is checked field by field.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from taxiway.files.csv_lines import has_empty_line
from taxiway.sources.source import Column

_VALUES = b"0123456789.,-:\rNY"
# Numbers, timestamps and the flags Y and N, without what stands between a timestamp's parts and between rows. What
# Postgres reads as a number within this alphabet is a plain decimal number: no NaN, Infinity, hexadecimal, exponent
# or digit group.
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Texts of a source without decimal numbers may have these, too. What Postgres reads as an integer within both alphabets
# is a plain one, but for the prefixes of other bases.
_OTHER_BASES = (b"0B", b"0O", b"0X")
_TIMESTAMP = b"0000-00-00 00:00:00"
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_strstr = ctypes.CDLL(None).strstr
_strstr.argtypes, _strstr.restype = (ctypes.c_char_p, ctypes.c_char_p), ctypes.c_void_p


class CanonicalRows:
    """Counts the rows of a file as its blocks pass by, and checks that they are canonical CSV.

    They have only characters of the alphabet, in which there are no quotation marks and no backslashes: ``COPY`` takes
    them as plain text. Every space is in a timestamp ``YYYY-MM-DD HH:MM:SS`` that fills its
    field, and there are as many of these as the rows have columns for them. Nothing else is checked here: too many or
    too few fields, days that don't exist and words in numbers stop ``COPY``. A text as long as a timestamp could pass
    for one; the staging table refuses it.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        """Begin with no row.

        :param columns: the columns in the order of the file
        """
        self._timestamps = [number for number, column in enumerate(columns) if column.type == "timestamp"]
        self._run = _run_within_the_row(self._timestamps, len(columns))
        self._one_column = len(columns) == 1
        types = {column.type for column in columns}
        self._has_letters = "text" in types and "numeric" not in types
        self._values = _VALUES + _LETTERS if self._has_letters else _VALUES
        self._goes_on = False
        self.count = 0

    def add(self, block: bytes) -> bool:
        """Count the rows of a block, and say whether they are canonical CSV.

        :param block: whole lines; the file's last one may lack its end
        """
        if self._goes_on:
            return False
        self._goes_on = not block.endswith(b"\n")
        marks = block.translate(None, self._values)
        ends, spaces = marks.count(b"\n"), marks.count(b" ")
        rows = ends + self._goes_on
        self.count += rows
        if len(marks) != ends + spaces or spaces != rows * len(self._timestamps):
            return False
        if self._one_column and has_empty_line(block):
            return False
        if self._has_letters and any(_holds(block, prefix) for prefix in _OTHER_BASES):
            return False
        # Postgres reads 24:00:00 and a 60th second too, and writes them as another time. (No NUL is left by now: it is
        # not of the alphabet.)
        return not spaces or (
            self._fill_fields(block.translate(_DIGITS), rows)
            and not _holds(block, b" 24:00:00")
            and not _holds(block, b":60")
        )

    def _fill_fields(self, shape: bytes, rows: int) -> bool:
        """Say whether there are as many timestamps as there should be, each from its field's start to its end.

        :param shape: a block with every digit as a zero
        """
        if self._run is not None:
            return shape.count(self._run) == rows
        wanted = rows * len(self._timestamps)
        begun = shape.count(b"," + _TIMESTAMP) + shape.count(b"\n" + _TIMESTAMP) + shape.startswith(_TIMESTAMP)
        ended = sum(shape.count(_TIMESTAMP + end) for end in (b",", b"\n", b"\r")) + shape.endswith(_TIMESTAMP)
        return begun == ended == wanted


def _holds(block: bytes, text: bytes) -> bool:
    """Say whether a text stands in a block without a NUL: what ``text in block`` says.

    The GNU C library compares many bytes at once. Python compares one after another, which took a third of a block's
    check.
    """
    return _strstr(block, text) is not None


def _run_within_the_row(positions: Sequence[int], columns: int) -> bytes | None:
    """Return how a row's timestamps look if they are side by side, with other columns before and after them.

    One search for all of them is quicker than one for their starts and one for their ends.
    """
    side_by_side = bool(positions) and positions[-1] - positions[0] == len(positions) - 1
    if not side_by_side or positions[0] == 0 or positions[-1] == columns - 1:
        return None
    return b"," + b",".join([_TIMESTAMP] * len(positions)) + b","
