"""Operator: begin a load, and download its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from taxiway.loads.load import Ended
from taxiway.loads.month import download_month
from taxiway.loads.steps import DOWNLOAD_MONTH
from taxiway.loads.warehouse import Resumed, Warehouse
from taxiway.orchestration.downloads import download
from taxiway.orchestration.month_of_run import nothing_for
from taxiway.orchestration.operators.file_step import FileStepOperator
from taxiway.settings import parse_flag

if TYPE_CHECKING:
    from airflow.sdk import Context


class DownloadMonthOperator(FileStepOperator):
    """Record a load in the ledger, download its file, and go on only if there is something to do.

    Downloads as :func:`taxiway.orchestration.downloads.download` does, and returns the same.
    A month that the source doesn't have, or that isn't published yet, is skipped. If the month is published from the
    same bytes already, the task succeeds and those after it are skipped.

    :param use_cache: whether an unchanged file may be taken from the cache; empty leaves it to the Variable
        ``taxiway_use_cache`` (templated)
    :param force: load the file even if its bytes are published already (templated)
    :param must_exist: whether a month that isn't there fails the task; else it is skipped (templated)
    """

    template_fields: Sequence[str] = (*FileStepOperator.template_fields, "use_cache", "force", "must_exist")
    step = DOWNLOAD_MONTH

    def __init__(
        self,
        *,
        use_cache: str = "",
        force: bool | str = False,
        must_exist: bool | str = False,
        **kwargs: Any,
    ) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.use_cache = use_cache
        self.force = force
        self.must_exist = must_exist

    def nothing_for(self, logical_date: datetime) -> str | None:
        """Tell ``airflow dags backfill`` why a logical date has nothing to load; None if it has."""
        return nothing_for(self.source_name, logical_date)

    def run_step(
        self, warehouse: Warehouse, outputs: Mapping[str, Any], resumed: Resumed | None, context: Context
    ) -> dict[str, Any]:
        """Download the file."""
        load = warehouse.load
        downloaded = download_month(
            warehouse,
            lambda: download(load.source, load.month, http_conn_id=self.http_conn_id, use_cache=self.use_cache),
            force=parse_flag(self.force, "force"),
            must_exist=parse_flag(self.must_exist, "must_exist"),
        )
        if downloaded.nothing_to_do is not None:
            self.ended = Ended(is_loaded=downloaded.file is not None)
        if downloaded.file is None:
            self.log.warning(
                "%s. Nothing is loaded: this task and those after it are skipped", downloaded.nothing_to_do
            )
            raise AirflowSkipException(downloaded.nothing_to_do)
        if downloaded.nothing_to_do is not None:
            self.log.info("%s: nothing to do", downloaded.nothing_to_do)
            raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))
        return downloaded.file.to_dict()
