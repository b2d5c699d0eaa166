"""Operator: compare the published months of Postgres and of BigQuery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from taxiway.compare.comparison import compare_months, require_agreement
from taxiway.errors import InvalidArgumentError
from taxiway.messages import counted
from taxiway.orchestration.assets import announced
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.hooks.gcp_hooks import CONNECTION, bigquery_client, gcp_settings
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import find_source
from taxiway.sources.strict_yaml import shown
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.postgres.published_months import PostgresMonths

if TYPE_CHECKING:
    from airflow.sdk import Context


class CompareMonthsOperator(BaseOperator):
    """Compare months of both warehouses: rows, sums of every numeric column, ids. Fails if they differ.

    Returns the number of rows of every month that agrees, by source and month. If an Asset's event has started the run,
    only the months of its events are compared: reading every month would cost more with each load. Of these months, it
    compares the ones that both hold from the same file. The rest waits for the event of the other load.

    :param source_names: the sources that are compared, if none is asked for
    :param source_name: the source that is; empty for every one (templated)
    :param month: the month that is, ``YYYY-MM``; empty for every one that both hold (templated)
    :param postgres_conn_id: the warehouse's connection
    :param gcp_conn_id: the connection to Google Cloud
    """

    template_fields: Sequence[str] = ("source_name", "month")

    def __init__(
        self,
        *,
        source_names: Sequence[str],
        source_name: str = "",
        month: str = "",
        postgres_conn_id: str = "taxi_postgres",
        gcp_conn_id: str = CONNECTION,
        **kwargs: Any,
    ) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_names = source_names
        self.source_name = source_name
        self.month = month
        self.postgres_conn_id = postgres_conn_id
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Compare the months.

        :raises AirflowFailException: months differ, or the comparison can't be made
        :raises AirflowSkipException: loads have set it off, and no month of theirs can be compared yet
        """
        with retry_or_fail(context):
            changed = {} if self.month or self.source_name else announced(context)
            agreed = self._compare(changed, context)
        if changed and not agreed:
            raise AirflowSkipException(
                "nothing to compare yet: every month that was published waits for the other load"
            )
        return agreed

    def _compare(self, changed: Mapping[str, set[str] | None], context: Context) -> dict[str, int]:
        """Compare the months that were asked for, or those that loads have changed.

        :param changed: the months by source; nothing if no load has set the run off
        """
        months = [Month.parse(self.month)] if self.month else None
        names = [self.source_name] if self.source_name else list(self.source_names)
        if any(name not in self.source_names for name in names):
            raise InvalidArgumentError(
                f"source is {shown(self.source_name)}: expected one of {', '.join(self.source_names)}, or none for all"
            )
        sources = [find_source(SOURCES_FOLDER, name) for name in names if not changed or name in changed]
        settings = gcp_settings()
        from taxiway.orchestration.open_postgres import connected  # each load's task imports this module
        from taxiway.orchestration.standing import ended_by, has_ended

        client = bigquery_client(settings, self.gcp_conn_id)
        cloud = BigQueryMonths(Jobs(client, settings, self.task_id, {"taxiway_step": self.task_id})).asking(
            ended_by("bigquery", lambda *run: has_ended(context["ti"], *run))
        )
        found = []
        where = f"{', '.join(names)} {self.month or '(every month)'}: compare"
        with connected(where, self.postgres_conn_id) as connection:
            ours = PostgresMonths(connection, self.postgres_conn_id)
            for source in sources:
                wanted = months or _sorted(changed.get(source.name))
                found.append(compare_months(ours, cloud, source, wanted, same_file_only=bool(changed)))
        for compared in found:
            for text in compared.not_compared:
                self.log.info("%s", text)
            for title, rows in compared.same.items():
                self.log.info("%s: %s, the same in Postgres and in BigQuery", title, counted(rows, "row"))
        require_agreement(found, asked_for=bool(self.month and self.source_name))
        return {title: rows for compared in found for title, rows in compared.same.items()}


def _sorted(months: set[str] | None) -> list[Month] | None:
    return None if months is None else sorted(map(Month.parse, months))
