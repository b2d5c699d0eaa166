"""Writes Arrow's columns of texts as lines of CSV."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.csv as pcsv

Texts: TypeAlias = "pa.Array[pa.StringScalar]"

PLAIN = pcsv.WriteOptions(include_header=False, quoting_style="none")
"""Texts as they are: none may hold a comma, a quotation mark or a line end."""

QUOTED = pcsv.WriteOptions(include_header=False, quoting_style="all_valid")
"""Every text in quotation marks."""


def scalar(text: str) -> pa.StringScalar:
    """Make a text for Arrow from bytes: from a text, it imports pandas first, to find out what that is."""
    data = text.encode()
    offsets = pa.py_buffer(struct.pack("=ii", 0, len(data)))
    return pa.StringArray.from_buffers(1, offsets, pa.py_buffer(data))[0]


def texts_of(values: Iterable[str | None]) -> Texts:
    """Make texts for Arrow without :func:`pyarrow.array`, which imports pandas first: 30 MiB that nothing here uses."""
    texts = pa.lib.StringBuilder()
    texts.append_values(values)
    return texts.finish()


def lines_of(columns: Sequence[Texts], options: pcsv.WriteOptions = PLAIN) -> bytes:
    """Write rows as lines, each with its end; a null is an empty field, unless the options say another text.

    :param columns: as many values in each
    :raises pa.ArrowInvalid: a text holds what the options don't allow
    """
    texts = pa.record_batch(list(columns), names=[str(number) for number in range(len(columns))])
    stream = pa.BufferOutputStream()
    with pcsv.CSVWriter(stream, texts.schema, write_options=options) as writer:
        writer.write_batch(texts)
    return bytes(stream.getvalue().to_pybytes())
