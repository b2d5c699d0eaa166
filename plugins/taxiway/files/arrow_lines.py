"""Writes Arrow's columns of texts as lines of CSV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.csv as pcsv

Texts: TypeAlias = "pa.Array[pa.StringScalar]"

_PLAIN = pcsv.WriteOptions(include_header=False, quoting_style="none")
_QUOTED = pcsv.WriteOptions(include_header=False, quoting_style="all_valid")


def scalar(text: str) -> pa.StringScalar:
    """Make a text for Arrow from bytes: from a text, it imports pandas first, to find out what that is."""
    data = text.encode()
    offsets = pa.py_buffer(struct.pack("=ii", 0, len(data)))
    return pa.StringArray.from_buffers(1, offsets, pa.py_buffer(data))[0]


def lines_of(columns: Sequence[Texts], *, quoted: bool = False) -> bytes:
    """Write rows as lines, each with its end; a null is an empty field.

    :param columns: as many values in each
    :param quoted: whether every text is in quotation marks
    :raises pa.ArrowInvalid: it isn't, and holds a comma, a quotation mark or a line end
    """
    texts = pa.record_batch(list(columns), names=[str(number) for number in range(len(columns))])
    stream = pa.BufferOutputStream()
    with pcsv.CSVWriter(stream, texts.schema, write_options=_QUOTED if quoted else _PLAIN) as writer:
        writer.write_batch(texts)
    return bytes(stream.getvalue().to_pybytes())
