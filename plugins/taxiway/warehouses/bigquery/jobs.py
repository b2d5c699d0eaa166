"""BigQuery as the steps use it: jobs in one project and location, each found again by its id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from taxiway.errors import TransientWarehouseError
from taxiway.warehouses.bigquery.errors import explains, failure
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.bigquery.statements import Statement

if TYPE_CHECKING:
    from google.cloud import bigquery
    from google.cloud.bigquery import LoadJob, QueryJob

REQUEST_SECONDS = 60.0
"""Longest wait for one answer."""

RETRY_SECONDS = 120.0
"""How long a request of a task is repeated."""

QUICK_RETRY_SECONDS = 4.0
"""How long one is repeated for somebody who waits."""

PAGE_ROWS = 10_000
"""Rows that come with the answer that a statement is done; more are asked for page by page."""

MOST_NUMBERS = 1000
"""Most numbers that are tried for the id of a job."""


@dataclass(frozen=True)
class Started:
    """A job that was started, or found under its id.

    :param job: as Google's client has it; None if it belongs to another account, and this account may not see it
    :param found: whether it was there already
    """

    job: Any | None
    found: bool


@dataclass(frozen=True)
class Jobs:
    """BigQuery in one project and location.

    :param client: Google's client
    :param settings: project, location, dataset, and what a query may bill
    :param where: source, month and task, for messages
    :param labels: of every job
    :param outcome: what has been published so far, for messages; empty: messages don't mention it
    :param retry_seconds: how long a request is repeated: without an answer, or if the answer asks for that
    """

    client: bigquery.Client
    settings: GcpSettings
    where: str
    labels: Mapping[str, str]
    outcome: str = ""
    retry_seconds: float = RETRY_SECONDS

    @explains
    def run(self, statement: Statement) -> list[dict[str, Any]]:
        """Run a statement to its end.

        :return: its rows, by column name
        :raises TransientWarehouseError: a retry may help
        :raises WarehouseError: it would not
        """
        job = self._start_query(statement, None)
        return [dict(row.items()) for row in job.result(page_size=PAGE_ROWS, timeout=None, retry=self._retry)]

    @explains
    def start_query(self, statement: Statement, job_id: str, labels: Mapping[str, str] | None = None) -> Started:
        """Start a statement under a given job id, or find the job that has it.

        :param labels: of this job, in addition to the labels of all jobs
        """
        return self._start_or_find(lambda: self._start_query(statement, job_id, labels), job_id)

    @explains
    def start_load(self, uri: str, table: str, configuration: Mapping[str, Any], job_id: str) -> Started:
        """Start loading an object into a table under a given job id, or find the job that has it.

        :param uri: the object's address
        :param table: the table with its project and dataset
        :param configuration: REST resource JobConfigurationLoad, without source and destination
        """
        from google.cloud.bigquery import LoadJobConfig

        resource = {"load": dict(configuration), "labels": dict(self.labels)}

        def start() -> LoadJob:
            return self.client.load_table_from_uri(
                uri,
                table,
                job_id=job_id,
                location=self.settings.location,
                project=self.settings.project,
                job_config=cast("LoadJobConfig", LoadJobConfig.from_api_repr(resource)),
                retry=self._retry,
                timeout=REQUEST_SECONDS,
            )

        return self._start_or_find(start, job_id)

    @explains
    def find_job(self, job_id: str) -> Any:
        """Ask for a job's state."""
        return self.client.get_job(
            job_id,
            project=self.settings.project,
            location=self.settings.location,
            retry=self._retry,
            timeout=REQUEST_SECONDS,
        )

    @explains
    def look_up(self, job_id: str) -> Started | None:
        """Return the job that has an id; None if the id is free."""
        from google.api_core.exceptions import Forbidden, NotFound

        try:
            job = self.client.get_job(
                job_id,
                project=self.settings.project,
                location=self.settings.location,
                retry=self._retry,
                timeout=REQUEST_SECONDS,
            )
        except NotFound:
            return None
        except Forbidden as error:
            if (error.errors or [{}])[0].get("reason") != "accessDenied":
                raise
            return Started(None, found=True)
        return Started(job, found=True)

    @explains
    def wait(self, job: Any) -> Any:
        """Wait until a job is done, however it ends.

        :return: the job as it is then
        :raises TransientWarehouseError: its state could not be read
        """
        from google.api_core.exceptions import GoogleAPICallError

        if job.state != "DONE":
            try:
                job.result(timeout=None, retry=self._retry)
            except GoogleAPICallError:
                ended = self.find_job(job.job_id)
                if ended.state != "DONE":
                    raise
                return ended
        return self.find_job(job.job_id)

    @explains
    def cancel(self, job: Any) -> None:
        """Ask a job to end; it may run on for a while, or succeed."""
        job.cancel(retry=self._retry, timeout=REQUEST_SECONDS)

    def require_success(self, job: Any) -> None:
        """Make sure that a job that is done has succeeded.

        :raises TransientWarehouseError: it failed, and a retry may succeed
        :raises WarehouseError: it failed
        """
        if job.state != "DONE":
            raise TransientWarehouseError(
                f"{self.where}: the job {job.job_id} is {job.state}, expected DONE; the task is tried again"
            )
        if job.error_result:
            details = [str(error.get("message")) for error in job.errors or [] if error.get("message")]
            message = "; ".join(dict.fromkeys([str(job.error_result.get("message")), *details[:3]]))
            where = f"{self.where}, job {job.job_id}"
            raise failure(where, str(job.error_result.get("reason")), message, self.settings, outcome=self.outcome)

    @explains
    def find_table(self, table: str) -> bigquery.Table | None:
        """Return a table's description, or None if there is none.

        :param table: its name with project and dataset
        """
        from google.api_core.exceptions import NotFound

        try:
            return self.client.get_table(table, retry=self._retry, timeout=REQUEST_SECONDS)
        except NotFound:
            return None

    @explains
    def add_labels(self, table: str, labels: Mapping[str, str]) -> None:
        """Add labels to a table.

        BigQuery refuses a description that was read before somebody else changed the table: it is read again.

        :param table: its name with project and dataset
        """
        from google.api_core.exceptions import PreconditionFailed

        for is_last in (False, False, True):
            found = self.client.get_table(table, retry=self._retry, timeout=REQUEST_SECONDS)
            found.labels = {**found.labels, **labels}
            try:
                self.client.update_table(found, ["labels"], retry=self._retry, timeout=REQUEST_SECONDS)
                return
            except PreconditionFailed:
                if is_last:
                    raise

    @property
    def _retry(self) -> Any:
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.retry_seconds)

    def _start_query(
        self, statement: Statement, job_id: str | None, labels: Mapping[str, str] | None = None
    ) -> QueryJob:
        from google.cloud.bigquery import QueryJobConfig

        resource = statement.configuration(self.settings.maximum_bytes_billed, {**self.labels, **(labels or {})})
        return self.client.query(
            statement.sql,
            job_config=cast("QueryJobConfig", QueryJobConfig.from_api_repr(resource)),
            job_id=job_id,
            location=self.settings.location,
            project=self.settings.project,
            retry=self._retry,
            timeout=REQUEST_SECONDS,
            job_retry=None,
        )

    def _start_or_find(self, start: Callable[[], Any], job_id: str) -> Started:
        """Start a job. If its id is taken, an answer or a worker was lost: return the job that has the id."""
        from google.api_core.exceptions import Conflict

        try:
            return Started(start(), found=False)
        except Conflict:
            found = self.look_up(job_id)
        if found is None:
            raise TransientWarehouseError(
                f"{self.where}: the job id {job_id} is taken, but there is no such job in {self.settings.location}, "
                f"expected one; the task is tried again"
            )
        return found


def first_usable_job(jobs: Jobs, start: Callable[[str], Started], name: str, is_there: Callable[[Any], bool]) -> Any:
    """Start a job under the first free number, or return the job that has done the work or is doing it.

    A job id can be used once. If the same work was begun before (a worker or an answer was lost), its job is found
    again and not started twice. Jobs that failed, or whose table is gone or was made anew, are skipped.

    :param start: starts the job of an id, or finds it if it was begun meanwhile
    :param name: the beginning of the ids
    :param is_there: whether the job's result still exists
    :return: the job
    """
    for number in range(1, MOST_NUMBERS):
        job_id = f"{name}_{number}"
        started = jobs.look_up(job_id) or start(job_id)
        job = started.job
        if not started.found:
            return job
        if job is not None and not (job.state == "DONE" and (job.error_result or not is_there(job))):
            return job
    raise TransientWarehouseError(f"{name}: found {MOST_NUMBERS} failed jobs of that name, expected one that can run")


def last_job(jobs: Jobs, name: str) -> Any | None:
    """Return the job that :func:`first_usable_job` has started last under a name; None if there is none."""
    last = None
    for number in range(1, MOST_NUMBERS):
        found = jobs.look_up(f"{name}_{number}")
        if found is None:
            break
        last = found.job
    return last
