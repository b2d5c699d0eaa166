"""Operator: begin a load into BigQuery, and fetch its file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from taxiway.orchestration.downloads import download
from taxiway.orchestration.month_of_run import nothing_for
from taxiway.orchestration.operators.gcp_month_operator import GcpMonthOperator
from taxiway.settings import parse_flag
from taxiway.warehouses.bigquery.fetch import fetch_month
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.step import Step

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpFetchMonthOperator(GcpMonthOperator):
    """Enter a load in the dataset's ledger, download its file, and go on only where there is something to do.

    Downloads as :func:`taxiway.orchestration.downloads.download` does. A month that the source doesn't
    have is skipped. Where the month is published from the same bytes already, the task succeeds and those behind it
    are skipped.

    :param http_conn_id: HTTP connection whose address is the mirror's
    :param use_cache: whether an unchanged file may be taken from the cache; empty leaves it to the Variable
        ``taxiway_use_cache`` (templated)
    :param force: load the file even where its bytes are published already (templated)
    """

    needs_load = False
    template_fields: Sequence[str] = ("month", "load", "use_cache", "force")

    def __init__(
        self, *, http_conn_id: str = "tlc_mirror", use_cache: str = "", force: bool | str = False, **kwargs: Any
    ) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.http_conn_id = http_conn_id
        self.use_cache = use_cache
        self.force = force

    def nothing_for(self, logical_date: datetime) -> str | None:
        """Tell ``airflow dags backfill`` why a logical date has nothing to load; None if it has."""
        return nothing_for(self.source_name, logical_date)

    def run_step(self, step: Step, context: Context) -> dict[str, Any]:
        """Fetch the file."""

        def entered(load: Load) -> None:
            step.known_load = load

        fetched = fetch_month(
            step.warehouse,
            lambda: step.lake,
            step.tables,
            lambda: download(
                step.tables.source, step.tables.month, http_conn_id=self.http_conn_id, use_cache=self.use_cache
            ),
            entered,
            force=parse_flag(self.force, "force"),
            started_at=context["dag_run"].start_date,
        )
        if fetched.skipped is not None:
            self.log.warning("%s. Nothing is loaded: this task and those behind it are skipped", fetched.skipped)
            raise AirflowSkipException(fetched.skipped)
        if fetched.unchanged is not None:
            self.log.info("%s: nothing to do", fetched.unchanged)
            raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))
        return fetched.load.to_dict()
