"""A release of a source: which months come from where, in which format."""

from __future__ import annotations

from dataclasses import dataclass

from taxiway.sources.months import Month

FORMATS = ("csv.gz", "csv", "parquet")
"""Formats of files that can be loaded, as their names end. How each is read: :mod:`taxiway.files.formats`."""


@dataclass(frozen=True)
class Release:
    """Months that come from one place in one format.

    :param first: first month
    :param last: last month; None if months go on
    :param connection: HTTP connection whose address is the place's
    :param path: a file's path below that address, ``{month}`` standing for ``YYYY-MM``
    :param format: one of :data:`FORMATS`
    """

    first: Month
    last: Month | None
    connection: str
    path: str
    format: str

    @property
    def file(self) -> str:
        """Name of the file that is downloaded, ``{month}`` standing for ``YYYY-MM``."""
        return self.path.rpartition("/")[2]

    @property
    def months(self) -> str:
        """The first and the last month, in words."""
        if self.first.is_whole:
            return "one file"
        return f"from {self.first} on" if self.last is None else f"{self.first} to {self.last}"

    def has(self, month: Month) -> bool:
        """Say whether a month is one of the release."""
        return self.first <= month and (self.last is None or month <= self.last)

    def file_path(self, month: Month) -> str:
        """Return the path of a month's file below the connection's address."""
        return self.path.replace("{month}", str(month))
