"""What travels from step to step of a load: small, and enough to write the ledger's row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from taxiway.download.download import Download


@dataclass(frozen=True)
class Load:
    """One attempt to load a month, as far as it has come.

    :param load_id: the attempt's key in the ledger
    :param attempt: which attempt of the run it is, from 1
    :param started_at: when it began, ISO 8601
    :param fetched_load_id: the attempt that downloaded the file: of two files, its number says which is the later one
    :param file: the downloaded file, as :meth:`taxiway.download.download.Download.to_dict` gives it
    :param uri: address of the object that is loaded
    :param object_name: name of that object in the bucket
    :param generation: its generation in the bucket
    :param file_columns: names of the columns in the order of the file
    :param unnamed: how many fields a row of the file has behind the last column
    :param rows_read: rows in the file
    :param rows_rejected: rows that could not be read
    :param rows_staged: rows that have an id
    :param warnings: how the main table differed from the ledger, and messages of the checks that warn
    :param staged_by: id of the job that staged the rows
    :param hashed_by: id of the job that gave them their ids
    :param publication: number of a publication that failed; nobody else needs to look at its job
    """

    load_id: str
    attempt: int
    started_at: str
    fetched_load_id: str = ""
    file: Mapping[str, Any] | None = None
    uri: str = ""
    object_name: str = ""
    generation: int = 0
    file_columns: tuple[str, ...] = ()
    unnamed: int = 0
    rows_read: int | None = None
    rows_rejected: int | None = None
    rows_staged: int | None = None
    warnings: tuple[str, ...] = ()
    staged_by: str = ""
    hashed_by: str = ""
    publication: int | None = None

    @property
    def began(self) -> datetime:
        """When the attempt began."""
        return datetime.fromisoformat(self.started_at)

    @property
    def download(self) -> Download:
        """The downloaded file.

        :raises ValueError: nothing was downloaded yet
        """
        if self.file is None:
            raise ValueError(f"{self.load_id}: nothing was downloaded yet")
        return Download.from_dict(self.file)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, as they travel between tasks."""
        document = asdict(self)
        return {**document, "file_columns": list(self.file_columns), "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Load:
        """Read back what :meth:`to_dict` gave."""
        lists = {name: tuple(document[name]) for name in ("file_columns", "warnings")}
        return cls(**{**document, **lists})
