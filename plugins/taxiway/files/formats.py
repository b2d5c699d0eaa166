"""The registry of formats: how the files of each release are read.

A new format is one module here, with the members of :class:`~taxiway.files.file_format.FileFormat`, a line in
:data:`FORMATS`, and its name in :data:`taxiway.sources.release.FORMATS`, so that a source's YAML can say it.
"""

from __future__ import annotations

from collections.abc import Mapping

from taxiway.files.csv_file import CsvFile
from taxiway.files.csv_gz_file import CsvGzFile
from taxiway.files.file_format import FileFormat
from taxiway.files.parquet_file import ParquetFile
from taxiway.sources.months import Month
from taxiway.sources.source import Source

FORMATS: Mapping[str, FileFormat] = {
    "csv.gz": CsvGzFile(),
    "csv": CsvFile(),
    "parquet": ParquetFile(),
}
"""How files are read, by the name of their format, which is the ending of their names."""


def format_of(source: Source, month: Month) -> FileFormat:
    """Return the format of a month's file."""
    return FORMATS[source.release_of(month).format]
