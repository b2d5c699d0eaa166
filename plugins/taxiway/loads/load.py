"""Which load: one month of one source, loaded by one run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, TypeVar

from taxiway.errors import InvalidArgumentError
from taxiway.loads import row_identity
from taxiway.loads.step_names import STAGE, STEP_NAMES, UPLOAD
from taxiway.program import airflow_command
from taxiway.sources.months import Month
from taxiway.sources.source import Layout, Source

LoadT = TypeVar("LoadT", bound="Load")


@dataclass(frozen=True)
class Ended:
    """How a load has ended that hasn't failed.

    :param is_loaded: whether the month is published now; else it isn't available
    :param warnings: of the published month
    """

    is_loaded: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Load:
    """One month of one source, loaded by one run into one warehouse.

    A warehouse derives the names of its tables from this alone. So every step of a run finds them by itself, and two
    runs never share a staging table.

    :param source: the source
    :param month: the month
    :param run_id: Airflow's run id
    :param try_number: Airflow's try of the task at work, from 1; for the ledger only
    :param is_retry: whether an earlier try of the task has failed, or was lost
    :param started_at: when the run began; None if that isn't known
    :param steps: names of the load's steps, in their order
    :param layout_name: name of the file's layout; None if nobody has read its header yet
    """

    source: Source
    month: Month
    run_id: str
    try_number: int = 1
    is_retry: bool = False
    started_at: datetime | None = None
    steps: tuple[str, ...] = STEP_NAMES
    layout_name: str | None = None

    @classmethod
    def of(cls: type[LoadT], load: Load, **more: Any) -> LoadT:
        """Return the same load as another class has it.

        :param load: the load
        :param more: what that class knows besides
        """
        return cls(**{field.name: getattr(load, field.name) for field in fields(Load)}, **more)

    @property
    def where(self) -> str:
        """Source and month, for messages: ``green 2019-01``."""
        return f"{self.source.name} {self.month}"

    @property
    def name(self) -> str:
        """What other sessions call the load, for example the one that waits for its lock."""
        return f"taxiway {self.where} {self.run_id}"

    @property
    def download_name(self) -> str:
        """Name of the file as it is downloaded, and as the bucket keeps it."""
        return self.source.download_name(self.month)

    @property
    def filename(self) -> str:
        """Name of the unpacked file, as the column ``filename`` has it."""
        return self.source.filename(self.month)

    @property
    def layout(self) -> Layout:
        """The file's layout; if nobody knows it yet, that of a file with every column of its month."""
        found = self.source.layouts_of(self.month).get(self.layout_name) if self.layout_name else None
        return found or self.source.layout_of(self.month)

    def in_layout(self: LoadT, name: str | None) -> LoadT:
        """Return the same load with the layout of its file.

        :param name: of the layout, as the ledger has it; None if it has none
        """
        return replace(self, layout_name=name)

    @property
    def rules(self) -> dict[str, Any]:
        """What its rows and their ids are made by, as columns of the ledger."""
        return {
            "layout": self.layout.name,
            "row_id_version": row_identity.VERSION,
            "yaml_sha256": self.source.yaml_sha256,
        }

    @property
    def month_name(self) -> str:
        """Source and month, as names of tables and jobs have them: ``green_2019_01``."""
        return _month_name(self.source.name, self.month)

    @property
    def run_key(self) -> str:
        """A short key of the run, of letters and digits."""
        return _run_key(self.run_id)

    @property
    def rejects_command(self) -> str:
        """The command that shows the lines that could not be read."""
        return airflow_command("taxi", "rejects", self.source.name, str(self.month))

    @property
    def first_step(self) -> str:
        """The step that reads the file's lines first."""
        return UPLOAD if UPLOAD in self.steps else STAGE

    def has_begun(self, step: str, last: str) -> bool:
        """Say whether a step, or a later one, has begun already.

        :param step: the step
        :param last: the last step that is known to have begun; of one that the DAG no longer has, it counts as begun
        :raises InvalidArgumentError: the load has no such step
        """
        if step not in self.steps:
            raise InvalidArgumentError(
                f"{self.where}: step {step!r}: expected one of {', '.join(self.steps)}, "
                f"the steps that the DAG was built of"
            )
        return last not in self.steps or self.steps.index(last) >= self.steps.index(step)


@dataclass(frozen=True)
class Counts:
    """What publishing a month changed.

    :param inserted: rows that the month did not hold before; in BigQuery, a row whose values somebody had changed
        counts as one deleted and one inserted
    :param deleted: rows that the month held before and the file no longer has
    :param unchanged: rows that stayed
    """

    inserted: int
    deleted: int
    unchanged: int


def run_name(source: str, month: Month, run_id: str) -> str:
    """Return what the names of a run's tables begin with, in any warehouse: ``green_2019_01_0123456789ab``.

    :param source: name of the source
    :param month: the month
    :param run_id: the run, as the ledger has it
    """
    return f"{_month_name(source, month)}_{_run_key(run_id)}"


def _month_name(source: str, month: Month) -> str:
    return f"{source}_{month.in_names}"


def _run_key(run_id: str) -> str:
    return hashlib.sha256(run_id.encode()).hexdigest()[:12]
