"""What a run loads: its source and its month, checked before anything else is done."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from taxiway.core.errors import DownloadError, InvalidMonthError, TaxiwayError, WarehouseBusyError
from taxiway.core.messages import one_line
from taxiway.core.months import Month
from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import Source, find_source

if TYPE_CHECKING:
    from airflow.sdk import Context

PASSING_ERRORS = (DownloadError, WarehouseBusyError)
"""What trying again may mend, of all that Taxiway reports."""


def source_and_month(source_name: str, month: str, context: Context) -> tuple[Source, Month]:
    """Return the source and the month that a task was given.

    :param source_name: a file of ``include/sources`` without its ending
    :param month: the month as ``YYYY-MM``
    :param context: Airflow's context of the task
    :raises AirflowFailException: there is no such source, it is no month, or not the one that the run stands for
    """
    try:
        source = find_source(SOURCES_FOLDER, source_name)
        found = Month.parse(month)
        _refuse_another_month(found, context)
    except TaxiwayError as error:
        asked = one_line(f"{source_name} {month or '(no month)'}", 60)
        raise AirflowFailException(f"{asked}: {error}") from error
    return source, found


def nothing_for(source_name: str, logical_date: datetime) -> str | None:
    """Say why a run of the schedule or of a backfill would have nothing to load; None if it would load its month."""
    source = find_source(SOURCES_FOLDER, source_name)
    return source.months if source.why_unavailable(Month.of(logical_date)) else None


def _refuse_another_month(month: Month, context: Context) -> None:
    """A run of the schedule or of a backfill stands for its own month, and would stand for it unloaded."""
    run = context["dag_run"]
    if str(getattr(run.run_type, "value", run.run_type)) == "manual" or run.logical_date is None:
        return
    own = Month.of(run.logical_date)
    if own != month:
        raise InvalidMonthError(
            f"the parameter month is for runs that are triggered by hand: found {month} on the run of {own}, "
            f"expected none. airflow dags backfill --reprocess-behavior completed runs it for its own month"
        )
