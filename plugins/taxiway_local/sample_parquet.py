"""Sample rows as a Parquet file, with the types of the TLC's own files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from taxiway.sources.source import Column


@contextmanager
def parquet_writer(raw: BinaryIO, columns: Sequence[Column]) -> Iterator[ParquetWriter]:
    """Open a file for rows; its footer is written at the end.

    :param raw: the empty file
    :param columns: the columns of the rows, in their order
    """
    import pyarrow as pa  # it takes time and memory that samples of other formats don't need
    import pyarrow.parquet as pq

    types = {"integer": pa.int64(), "numeric": pa.float64(), "timestamp": pa.timestamp("us"), "text": pa.string()}
    with pq.ParquetWriter(raw, pa.schema([(column.header, types[column.type]) for column in columns])) as file:
        yield ParquetWriter(file)


class ParquetWriter:
    """Takes a CSV file block by block, and writes each block as a row group. An empty field becomes a null.

    :param file: Arrow's writer, with the schema
    """

    def __init__(self, file: Any) -> None:
        """Assign the parameter."""
        self.file = file
        self.header = 1

    def write(self, content: bytes) -> None:
        """Write whole lines; the first of all is the header."""
        import pyarrow.csv as pcsv

        rows = pcsv.read_csv(
            io.BytesIO(content),
            pcsv.ReadOptions(use_threads=False, skip_rows=self.header, column_names=self.file.schema.names),
            pcsv.ParseOptions(ignore_empty_lines=False),
            pcsv.ConvertOptions(column_types=self.file.schema, null_values=[""], strings_can_be_null=True),
        )
        self.file.write_table(rows)
        self.header = 0
