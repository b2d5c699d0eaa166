"""Cuts CSV that isn't canonical into columns, checks each of them, and writes lines that COPY reads in one way only.

Such are files of free texts, and files that a tool saved again, with texts in quotation marks, ``1.0`` for ``1`` and
times with a fraction of zeros. Arrow cuts lines into fields many times as quickly as Python does.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from taxiway.files.arrow_lines import QUOTED, Texts, lines_of, scalar
from taxiway.files.canonical_csv import CanonicalRows
from taxiway.sources.source import Column

_SECONDS = 19
# Length of YYYY-MM-DD HH:MM:SS.

_FRACTIONS = {"", *("." + "0" * digits for digits in range(1, 10))}
# What may follow: as many zeros as include/sql/postgres/_readable.sql allows.

_TOO_ODD = r'["\\\x1f]'
# In a text: Arrow and COPY read quotation marks within a field in two ways, and the others mean something in an id.

_BLANK = (b"", b"\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOTHING = scalar("")


class _OddFieldError(ValueError):
    """A field that needs a closer look."""


class ColumnRows:
    """Counts the rows of a file as its blocks pass by, and writes them as lines in which no value has changed.

    Numbers and times in them are those of canonical CSV. Too many digits and days that don't exist stop ``COPY``.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        """Begin with no row.

        :param columns: the columns in the order of the file
        """
        self._columns = columns
        self._names = [str(number) for number in range(len(columns))]
        self._goes_on = False
        self.count = 0

    def rows_of(self, block: bytes) -> bytes | None:
        """Return the rows of a block as lines; None if one of them needs a closer look.

        :param block: whole lines; the file's last one may lack its end
        """
        # Arrow drops a byte order mark, and ends a line at any carriage return.
        if self._goes_on or block.startswith(_BYTE_ORDER_MARK) or block.count(b"\r") != block.count(b"\r\n"):
            return None
        self._goes_on = not block.endswith(b"\n")
        try:
            rows = pcsv.read_csv(
                pa.BufferReader(block),
                pcsv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self._names),
                convert_options=pcsv.ConvertOptions(column_types=dict.fromkeys(self._names, pa.string())),
            )
            if len(rows) != sum(line not in _BLANK for line in block.split(b"\n")):
                return None  # a quotation mark is open at the end of a line
            fields = zip(rows.columns, self._columns, strict=True)
            texts = [_checked(values.combine_chunks(), column) for values, column in fields]
        except (pa.ArrowInvalid, _OddFieldError):
            return None
        self.count += len(rows)
        try:
            return lines_of(texts)
        except pa.ArrowInvalid:  # a text holds a comma
            return lines_of(texts, QUOTED)


def _checked(fields: Texts, column: Column) -> Texts:
    """Return the fields of a column, without fractions of zeros.

    :raises pa.ArrowInvalid: a number or a time holds a comma
    :raises _OddFieldError: a field isn't one of canonical CSV, or is a text with a character that means something
    """
    if column.type == "text":
        if pc.any(pc.match_substring_regex(pc.unique(fields), _TOO_ODD)).as_py():
            raise _OddFieldError
        return fields
    if column.type == "timestamp":
        if not _FRACTIONS.issuperset(pc.unique(pc.utf8_slice_codeunits(fields, _SECONDS)).to_pylist()):
            raise _OddFieldError
        fields = pc.utf8_slice_codeunits(fields, 0, _SECONDS)
    if column.type == "integer" and pc.any(pc.match_substring(fields, ".")).as_py():
        distinct = fields.dictionary_encode()
        whole = pc.replace_substring_regex(distinct.dictionary, "^(-?[0-9]+)[.]0*$", r"\1")
        fields = whole.take(distinct.indices)
    given = fields.filter(pc.not_equal(fields, _NOTHING))
    if len(given) and not CanonicalRows([column]).add(lines_of([given])):
        raise _OddFieldError
    return fields
