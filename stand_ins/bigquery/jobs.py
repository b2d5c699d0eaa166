"""Jobs: their life from insert to DONE, and what the API shows of them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.errors import BigQueryError, RefusedError, check_fields, told_as_bigquery_does
from stand_ins.bigquery.faults import Faults
from stand_ins.bigquery.loads import run_load
from stand_ins.bigquery.queries import QueryOutcome, run_query
from stand_ins.bigquery.snapshots import forget_seen, targets_seen
from stand_ins.bigquery.tables import TableName

_EVERYWHERE = {"us", "eu"}
# Seconds in which an insert waits for its job: most are done by then, and the client needn't poll.
_PATIENCE = 5.0


@dataclass
class Job:
    """One job.

    :param outcome: what a query gave, once it is done
    """

    project: str
    job_id: str
    location: str
    configuration: dict[str, Any]
    created: int
    started: int | None = None
    ended: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    error_result: dict[str, Any] | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    outcome: QueryOutcome | None = None
    polls_left: int = 0
    parent: str | None = None
    done: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def resource(self) -> dict[str, Any]:
        is_done = self.done.is_set()
        if is_done and self.polls_left > 0:
            self.polls_left -= 1
            is_done = False
        status: dict[str, Any] = {"state": "DONE" if is_done else "RUNNING"}
        statistics: dict[str, Any] = {"creationTime": str(self.created), "startTime": str(self.started or self.created)}
        if self.parent:
            statistics["parentJobId"] = self.parent
        if is_done:
            statistics |= {"endTime": str(self.ended), **self.statistics}
            if self.errors:
                status["errors"] = self.errors
            if self.error_result:
                status["errorResult"] = self.error_result
        return {
            "kind": "bigquery#job",
            "etag": uuid.uuid4().hex,
            "id": f"{self.project}:{self.location}.{self.job_id}",
            "jobReference": {"projectId": self.project, "jobId": self.job_id, "location": self.location},
            "configuration": self.configuration,
            "status": status,
            "statistics": statistics,
            "user_email": "taxiway@stand-in.iam.gserviceaccount.com",
        }


class Jobs:
    """Every job that was inserted, and the threads that run them."""

    def __init__(self, catalog: Catalog, faults: Faults) -> None:
        self._catalog = catalog
        self._faults = faults
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str], Job] = {}
        self._hidden: set[str] = set()

    def insert(self, project: str, body: dict[str, Any]) -> Job:
        """Begin a job.

        :param body: a job of the API with its configuration
        :return: the job, DONE where it was quick
        :raises BigQueryError: if it can't begin: a bad configuration, an id that is taken
        """
        check_fields(body, {"configuration", "jobReference", "kind", "statistics", "status", "etag", "id"}, "job")
        configuration = body["configuration"]
        reference = body.get("jobReference") or {}
        check_fields(reference, {"projectId", "jobId", "location"}, "jobReference")
        text = json.dumps(configuration)
        kind = _checked_kind(configuration)
        location = reference.get("location") or self._default_location(project, configuration[kind]) or "US"
        job = Job(
            project=project,
            job_id=reference.get("jobId") or f"job_{uuid.uuid4().hex}",
            location=location,
            configuration={**configuration, "jobType": kind.upper()},
            created=_now(),
        )
        failure = self._faults.take_failure(text, at_insert=True)
        if failure is not None:
            raise failure
        if configuration.get("dryRun"):
            return self._dry_run(job)
        with self._lock:
            if (project, job.job_id) in self._jobs:
                raise BigQueryError("duplicate", f"Already Exists: Job {project}:{location}.{job.job_id}")
            self._jobs[project, job.job_id] = job
        job.polls_left = self._faults.polls_until_done
        threading.Thread(target=self._run, args=(job, kind, text), daemon=True).start()
        return job

    def wait_a_little(self, job: Job) -> Job:
        """Give a job the chance to be done before its insert is answered."""
        deadline = time.monotonic() + _PATIENCE
        while not job.done.wait(0.02) and time.monotonic() < deadline and not job.held.is_set():
            pass
        return job

    def get(self, project: str, job_id: str, location: str | None) -> Job:
        job = self._jobs.get((project, job_id))
        if (
            job is None
            or (location is not None and location.lower() != job.location.lower())
            or (location is None and job.location.lower() not in _EVERYWHERE)
        ):
            raise BigQueryError("notFound", f"Not found: Job {project}:{location or 'US'}.{job_id}")
        if job_id in self._hidden:
            what = f"Permission bigquery.jobs.get denied on job {project}:{job.location}.{job_id}"
            raise BigQueryError("accessDenied", f"Access Denied: Job {project}:{job.location}.{job_id}: {what}")
        return job

    def give_to_another_account(self, job_id: str) -> None:
        """Let a job be another account's: its id is taken, and nobody here may look at it."""
        self._hidden.add(job_id)

    def children(self, project: str, parent: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.project == project and job.parent == parent]

    def all(self, project: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.project == project]

    def outcome(self, project: str, job_id: str) -> QueryOutcome:
        """What a query gave, for its anonymous result table."""
        job = self._jobs.get((project, job_id))
        if job is None or job.outcome is None:
            raise BigQueryError("notFound", f"Not found: Table {project}:_anonymous.{job_id}")
        return job.outcome

    def cancel(self, job: Job) -> None:
        """Ask a job to stop: one that is held does; one that computes ends as it would."""
        job.cancelled.set()

    def forget(self) -> None:
        """Wait for every job, and forget it."""
        self.join()
        with self._lock:
            self._jobs.clear()
            self._hidden.clear()

    def join(self, timeout: float = 10) -> None:
        deadline = time.monotonic() + timeout
        for job in list(self._jobs.values()):
            job.done.wait(max(0.0, deadline - time.monotonic()))

    def _default_location(self, project: str, configuration: dict[str, Any]) -> str | None:
        for key in ("destinationTable", "defaultDataset"):
            reference = configuration.get(key)
            if reference:
                dataset = self._catalog.datasets.get((reference.get("projectId", project), reference["datasetId"]))
                if dataset:
                    return str(dataset["location"])
        return None

    def _dry_run(self, job: Job) -> Job:
        if "query" not in job.configuration:
            raise RefusedError("a dry run of anything but a query")
        job.outcome = run_query(self._catalog, job.project, job.location, job.configuration["query"], dry_run=True)
        job.statistics = job.outcome.statistics()
        job.started = job.ended = _now()
        job.done.set()
        return job

    def _run(self, job: Job, kind: str, text: str) -> None:
        job.started = _now()
        seen: dict[TableName, str] = {}

        def look() -> None:
            if kind == "query":
                seen.update(targets_seen(self._catalog, job.project, job.configuration["query"]))

        def hold(done: int) -> None:
            before = look if not done else lambda: None
            self._faults.wait_where_held(text, job.held, job.cancelled, done=done, before=before)
            if job.cancelled.is_set():
                raise BigQueryError("stopped", "Job execution was cancelled: User requested cancellation")

        try:
            hold(0)
            failure = self._faults.take_failure(text, at_insert=False)
            if failure is not None:
                raise failure
            if kind == "load":
                with told_as_bigquery_does():
                    loaded = run_load(self._catalog, job.location, job.configuration["load"])
                job.statistics = {"load": loaded}
            else:
                outcome = run_query(
                    self._catalog,
                    job.project,
                    job.location,
                    job.configuration["query"],
                    seen=seen,
                    between=lambda done: hold(done) if done else None,
                )
                job.outcome = outcome
                job.statistics = outcome.statistics()
                self._add_children(job, outcome)
                if outcome.destination is not None:
                    job.configuration["query"]["destinationTable"] = outcome.destination.reference()
        except BigQueryError as error:
            job.error_result = error.entry()
            job.errors = [*getattr(error, "details", []), error.entry()]
            job.statistics = getattr(error, "statistics", {})
        except Exception as error:
            # Not internalError: clients would run the job again.
            message = f"The BigQuery stand-in failed: {type(error).__name__}: {error}"
            job.error_result = BigQueryError("notImplemented", message).entry()
            job.errors = [job.error_result]
        finally:
            forget_seen(self._catalog, seen)
            job.ended = _now()
            job.done.set()

    def _add_children(self, job: Job, outcome: QueryOutcome) -> None:
        for number, child in enumerate(outcome.children):
            identifier = f"script_job_{job.job_id}_{number}"
            added = Job(
                project=job.project,
                job_id=identifier,
                location=job.location,
                configuration={"query": {"query": child.sql, "useLegacySql": False}, "jobType": "QUERY"},
                created=job.created,
                started=job.started,
                ended=_now(),
                parent=job.job_id,
                statistics=child.statistics(),
                outcome=child,
            )
            added.done.set()
            self._jobs[job.project, identifier] = added


def _checked_kind(configuration: dict[str, Any]) -> str:
    check_fields(configuration, {"query", "load", "dryRun", "labels", "jobType"}, "configuration")
    kinds = [kind for kind in ("query", "load") if kind in configuration]
    if len(kinds) != 1:
        raise BigQueryError("invalid", "Required parameter is missing: exactly one of query and load")
    return kinds[0]


def _now() -> int:
    return int(time.time() * 1000)
