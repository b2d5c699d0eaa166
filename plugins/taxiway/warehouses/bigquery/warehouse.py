"""BigQuery as a load's steps use it: :class:`taxiway.loads.warehouse.Warehouse` on Google's clients."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from taxiway.download.download import Download
from taxiway.loads.attempts import Attempt, attempt_of
from taxiway.loads.deletions import DeletionGuard
from taxiway.loads.load import Counts
from taxiway.loads.publication import Difference, Measured, Published, require_few_rejects
from taxiway.loads.step_names import HASH, PUBLISH, STAGE, UPLOAD
from taxiway.loads.warehouse import Pending, Resumed
from taxiway.messages import counted
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.bucket import Bucket
from taxiway.warehouses.bigquery.cleanup import drop_staging
from taxiway.warehouses.bigquery.file_order import is_later
from taxiway.warehouses.bigquery.hash import finish_hashing, hashing_job_name, start_hashing
from taxiway.warehouses.bigquery.jobs import Jobs, last_job
from taxiway.warehouses.bigquery.main_table import ensure_main_table
from taxiway.warehouses.bigquery.measure import evaluate, measure
from taxiway.warehouses.bigquery.publication_jobs import confirm_publication, find_publication
from taxiway.warehouses.bigquery.publish import (
    UNKNOWN,
    failed_publication,
    finish_publishing,
    require_published,
    start_publishing,
)
from taxiway.warehouses.bigquery.published import difference_to
from taxiway.warehouses.bigquery.stage import finish_staging, staging_job_name, start_staging
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Uploaded, upload_month

log = logging.getLogger(__name__)

_FOUND = ("rows_read", "rows_rejected", "rows_staged", "layout")
"""What a step finds of the file, as columns of the ledger."""


class BigQueryWarehouse:
    """BigQuery, for one step of one load.

    :param jobs: BigQuery
    :param open_bucket: connects to the bucket, which few steps need
    :param load: the load, with its tables
    :param waits: whether a step waits for its job itself; else it returns the job
    """

    restages = False

    def __init__(self, jobs: Jobs, open_bucket: Callable[[], Bucket], load: CloudTables, *, waits: bool = True) -> None:
        """Assign the parameters."""
        self.jobs = jobs
        self.load: CloudTables = load
        self.waits = waits
        self._open_bucket = open_bucket
        self._step = ""
        self._attempt: Attempt | None = None
        self._publication: int | None = None
        self._entries: Sequence[ledger.Entry] = ()
        self._awaited: Any = None

    @cached_property
    def bucket(self) -> Bucket:
        """The bucket."""
        return self._open_bucket()

    @contextmanager
    def step(self, name: str, resumed: Resumed | None = None) -> Iterator[Attempt]:
        """Record a step while it runs: its attempt, and the error if it fails."""
        self._step = name
        if name == PUBLISH and (self.load.is_retry or (resumed is not None and resumed.job_id)):
            self._may_have_published()
        attempts = ledger.Ledger(self.jobs, self.load)
        self._entries = attempts.entries
        waited = attempts.find(resumed.load_id) if resumed is not None else None
        self._attempt = waited if waited is not None else attempt_of(attempts, name)
        try:
            yield self._attempt
        except BaseException as error:  # Airflow's own timeout is not an Exception
            self._record_failure(self._attempt, error)
            raise

    def _may_have_published(self) -> None:
        """Let errors say no longer that nothing was published: the step's job has begun, or may have."""
        self.jobs = replace(self.jobs, outcome=UNKNOWN)

    def _record_failure(self, attempt: Attempt, error: BaseException) -> None:
        said = f"{self._step}: {str(error) or type(error).__name__}"
        try:
            self.record(attempt, "failed", error=said, publication=self._publication)
        except Exception as unrecorded:
            # Whatever it is: the step's own error is the one to show.
            log.warning("%s: the failure could not be recorded in the ledger: %s", self.load.where, unrecorded)

    def record(self, attempt: Attempt, state: str = "running", **values: Any) -> None:
        """Record what a step has found, or how the attempt ended."""
        self._record(self.jobs, attempt, state, **values)

    def _record(self, jobs: Jobs, attempt: Attempt, state: str, **values: Any) -> None:
        known = self._attempt if self._attempt is not None and self._attempt.load_id == attempt.load_id else attempt
        ledger.record(jobs, self.load, known, self._step, state, **values)
        file = values.get("file")
        found = {name: values[name] for name in _FOUND if name in values}
        warnings = tuple(values.get("warnings", known.warnings))
        self._attempt = replace(known, sha256=file.sha256 if file else known.sha256, warnings=warnings, **found)

    def prepare(self) -> None:
        """Create the main table if it is absent; every step creates the ledger."""
        ensure_main_table(self.jobs, self.load)

    def require_no_obstacle(self, *, if_published: bool) -> bool:
        """Nothing that users can define on a table keeps a month out."""
        return True

    def find_published(self) -> Published | None:
        """Return what the published rows were loaded from; None if nothing is published."""
        self._entries = ledger.find_loads(self.jobs, self.load)
        return ledger.last_published(self._entries)

    def month_held(self) -> AbstractContextManager[bool]:
        """Nothing keeps others away: :meth:`confirm` finds out whether somebody has published meanwhile."""
        return nullcontext(False)

    def difference_to(self, published: Published) -> Difference | None:
        """Compare the main table's rows of the month with their ids."""
        said = difference_to(self.jobs, self.load, published)
        return Difference(said) if said else None

    def confirm(self, attempt: Attempt, file: Download) -> Mapping[str, Any] | None:
        """Tell the bucket, and runs that are about to publish, that this file was fetched last.

        The attempts are those from before the comparison with the main table: what was published since is not known.
        """
        entries = self._entries
        is_there = self.bucket.confirm(
            Path(file.path),
            self.load.object_name,
            attempt.fetched_load_id,
            lambda theirs: is_later(attempt, theirs, entries),
        )
        if not is_there:
            return None
        publication = confirm_publication(self.jobs, self.load, replace(attempt, sha256=file.sha256), entries)
        return None if publication is None else {"publication": publication}

    def upload(self, attempt: Attempt, file: Download) -> Mapping[str, Any]:
        """Look through the file's lines, and upload it as it is, unless the bucket has it.

        Lines that can't be read as rows are kept as rejects. For the load, a copy without them is uploaded to another
        folder, for as long as the run lasts.
        """

        def record(**values: Any) -> None:
            self.record(attempt, **values)

        uploaded, stored = upload_month(self.jobs, self.bucket, self.load, attempt, file, record)
        known = self._attempt or attempt
        log.info(
            "%s: %s %s: %s, %s rejected",
            self.load.where,
            self.load.uri(stored.name),
            "is there already" if stored.skipped else "uploaded",
            counted(known.rows_read or 0, "row"),
            counted(known.rows_rejected or 0, "line"),
        )
        return uploaded.to_dict()

    def stage(
        self, attempt: Attempt, file: Download, uploaded: Mapping[str, Any] | None, resumed: Resumed | None
    ) -> Mapping[str, Any] | Pending:
        """Load the object into a staging table of the run's own, which BigQuery deletes after a day."""
        found = Uploaded.from_dict(uploaded or {}, self.load.where)
        if (attempt.rows_rejected or 0) != found.rejected:
            # hash_rows has rejected more, and rejects them anew.
            self.record(attempt, rows_rejected=found.rejected)
        job = self._done(resumed, lambda: start_staging(self.jobs, self.load, attempt, found))
        if isinstance(job, Pending):
            return job
        finish_staging(self.jobs, self.bucket, self.load, found, job)
        return {"staged_by": job.job_id}

    def hash(
        self, attempt: Attempt, file: Download, staged: Mapping[str, Any], resumed: Resumed | None
    ) -> int | Pending:
        """Turn the staging table into typed rows with their ids."""
        job = self._done(resumed, lambda: start_hashing(self.jobs, self.load, attempt, staged["staged_by"]))
        if isinstance(job, Pending):
            return job
        hashed, rejected, named = finish_hashing(self.jobs, self.load, attempt, file, job)
        self.record(attempt, rows_staged=hashed, rows_rejected=rejected)
        # Also on another try, which finds these rows rejected already.
        require_few_rejects(self.load, rejected, attempt.rows_read or 0, named)
        return hashed

    def measure(self, attempt: Attempt) -> Measured:
        """Count and measure the month's rows."""
        return measure(self.jobs, self.load, attempt)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an SQL expression over the rows that are ready to be published."""
        return evaluate(self.jobs, self.load, expression)

    def merge(self, attempt: Attempt, resumed: Resumed | None, guard: DeletionGuard) -> Counts | Pending:
        """Publish the month in one statement, once no other run is publishing it."""
        if resumed is not None and resumed.job_id:
            job = self._done(resumed, lambda: None)
        else:
            found = start_publishing(self.jobs, self.load, attempt, guard, self._entries)
            while not found.own:
                log.info("%s: waits for the job %s of another run", self.load.where, found.job.job_id)
                if not self.waits:
                    return Pending(found.job.job_id, attempt.load_id, is_own=False)
                self.jobs.wait(found.job)
                found = start_publishing(self.jobs, self.load, attempt, guard)
            started = found.job
            self._may_have_published()
            job = self._done(None, lambda: started)
        if isinstance(job, Pending):
            return job
        self._publication = failed_publication(job)

        def record(jobs: Jobs, **values: Any) -> None:
            self._record(jobs, attempt, "published", **values)

        return finish_publishing(self.jobs, self.load, attempt, job, record)

    def require_published(self, attempt: Attempt) -> None:
        """Count the month's rows in the main table."""
        publication = attempt.publication if isinstance(attempt, ledger.Entry) else None
        require_published(self.jobs, self.load, attempt, publication or 0)

    def discard(self) -> None:
        """Drop the run's tables and its copy of the file."""
        drop_staging(self.jobs, self.bucket, self.load)

    def cancel(self) -> None:
        """Ask the job that is waited for to end."""
        if self._awaited is not None:
            self._awaited.cancel()

    def give_up(self, step: str, outputs: Mapping[str, Any]) -> str:
        """Ask the step's job to end, because nobody waits for it any more; say what was found of it."""
        job = self._job_of(step, outputs)
        if job is None:
            return "no job of this run was found"
        if job.state == "DONE":
            return f"the job {job.job_id} is done, and the next try finds it"
        self.jobs.cancel(job)
        return f"the job {job.job_id} was {job.state}, and was asked to end"

    def _job_of(self, step: str, outputs: Mapping[str, Any]) -> Any | None:
        """Return the job that a step has started last."""
        attempt = self._attempt
        if attempt is None:
            return None
        if step == STAGE:
            return last_job(self.jobs, staging_job_name(attempt, Uploaded.from_dict(outputs[UPLOAD], self.load.where)))
        if step == HASH:
            return last_job(self.jobs, hashing_job_name(attempt, outputs[STAGE]["staged_by"]))
        return find_publication(self.jobs, self.load, self._entries) if step == PUBLISH else None

    def _done(self, resumed: Resumed | None, start: Callable[[], Any]) -> Any | Pending:
        """Return a step's job when it is done; or the one to wait for, if the step isn't to wait itself."""
        if resumed is None:
            job = start()
            log.info("%s: job %s is %s", self.load.where, job.job_id, job.state)
            if not self.waits and job.state != "DONE":
                return Pending(job.job_id, self._attempt.load_id if self._attempt is not None else "")
        else:
            job = self.jobs.find_job(resumed.job_id)
            if job.state != "DONE":
                log.info("%s: the triggerer stopped waiting for the job %s", self.load.where, job.job_id)
        self._awaited = job
        return self.jobs.wait(job)
