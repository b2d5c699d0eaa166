"""What the steps of a load do, with any warehouse.

Each function is one step: it is given the warehouse, what the steps before have returned, and, after a wait, what it
goes on with. It returns plain values, which travel to the next step's task, or a job to wait for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from taxiway.download.download import Download
from taxiway.errors import (
    ChangedFileError,
    DestructiveCorrectionError,
    LostFileError,
    MissingInputError,
    MonthNotFoundError,
)
from taxiway.loads.attempts import Attempt
from taxiway.loads.deletions import WAITS, Answer, DeletionGuard, Deletions, ToApprove, require_approval
from taxiway.loads.load import Counts, Load
from taxiway.loads.publication import (
    difference_of_layout,
    judge_month,
    require_balance,
    require_checks,
    require_few_rejects,
    warnings_of,
)
from taxiway.loads.step_names import CHECK, CREATE, DOWNLOAD, HASH, PUBLISH, STAGE, UPLOAD
from taxiway.loads.warehouse import BucketWarehouse, Pending, Resumed, Warehouse
from taxiway.messages import counted

log = logging.getLogger(__name__)

Outputs = Mapping[str, Any]
"""What the steps before have returned, by their names."""

Fetch = Callable[[], Download]
"""Downloads the month's file: to begin the load, and again if a worker lacks it."""

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Downloaded:
    """What a load begins with.

    :param file: the downloaded file; None if the month is not available
    :param nothing_to_do: why the load ends here, in words; None if it goes on
    """

    file: Download | None
    nothing_to_do: str | None = None


def download_month(
    warehouse: Warehouse, download: Fetch, *, force: bool = False, must_exist: bool = False
) -> Downloaded:
    """Begin a load: record it, download its file, and compare that with what is published.

    A month that the source doesn't have is skipped, and so is one that isn't published yet, unless it must exist. If
    the file's bytes are published already, the load ends as unchanged. It goes on if it is forced, or if the main table
    no longer holds what was published.

    :param warehouse: of the load
    :param download: fetches the file
    :param force: load the file even if its bytes are published already
    :param must_exist: whether a month that isn't there is an error, instead of being skipped
    :raises MainTableError: the main table is another one, or something keeps it from taking the month
    :raises TaxiwayError: what the download raises
    """
    load = warehouse.load
    with warehouse.step(DOWNLOAD) as attempt:
        if CREATE not in load.steps:
            warehouse.prepare()
        if reason := load.source.why_unavailable(load.month):
            if must_exist:
                raise MonthNotFoundError(f"{reason}. Nothing was loaded")
            warehouse.record(attempt, "skipped", error=reason)
            return Downloaded(None, reason)
        # A published month may prove unchanged: then nothing that people have defined matters.
        has_looked = warehouse.require_no_obstacle(if_published=force)
        try:
            file = download()
        except MonthNotFoundError as error:
            if load.source.is_due(load.month):
                raise
            reason = _not_published_yet(load, error)
            if must_exist:
                raise MonthNotFoundError(f"{reason}. Nothing was loaded: load the month later") from error
            reason += ". Until then an absent file is skipped, from then on it is an error. "
            reason += "An unpaused DAG loads the month then"
            warehouse.record(attempt, "skipped", error=reason)
            return Downloaded(None, reason)
        warehouse.record(attempt, file=file)
        must_change = True
        # The download may have taken long: what counts is what is published now.
        published = None if force else warehouse.find_published()
        if published is not None and published.is_from(file.sha256):
            # Who publishes the month looks, under the same lock, for what is recorded here: a run with an earlier file
            # has either published it by now, or finds that it came too late.
            with warehouse.month_held() as is_held:
                # Somebody may have published while it waited for that.
                published = warehouse.find_published() if is_held else published
                if published is not None and published.is_from(file.sha256):
                    difference = difference_of_layout(
                        load.source, load.month, published.layout
                    ) or warehouse.difference_to(published)
                    confirmed = None if difference else warehouse.confirm(attempt, file)
                    if difference:
                        log.warning("%s: %s: the month is loaded again", load.where, difference.said)
                        warehouse.record(attempt, warnings=[difference.warning])
                        must_change = difference.must_change
                    elif confirmed is not None:
                        warehouse.record(
                            attempt,
                            "unchanged",
                            **confirmed,
                            rows_read=published.rows_read,
                            rows_rejected=published.rows_rejected,
                            rows_staged=published.rows_staged,
                            rows_inserted=0,
                            rows_deleted=0,
                            rows_unchanged=published.rows_staged,
                            **({"layout": published.layout} if published.layout else {}),
                        )
                        return Downloaded(file, f"{load.where}: {load.filename} is published with the same bytes")
        if must_change and not has_looked:
            warehouse.require_no_obstacle(if_published=True)
        return Downloaded(file)


def _not_published_yet(load: Load, error: MonthNotFoundError) -> str:
    """Say why a file that isn't due may be absent."""
    source = load.source
    days = counted(source.publication_lag_days, "day")
    return (
        f"{error.found}: not published yet: include/sources/{source.name}.yaml expects the file by "
        f"{source.due(load.month)}, {days} after the month's end (publication_lag_days)"
    )


def upload_month(
    warehouse: BucketWarehouse, outputs: Outputs, resumed: Resumed | None = None, fetch: Fetch | None = None
) -> Mapping[str, Any]:
    """Bring a downloaded file to where the warehouse reads it."""
    with warehouse.step(UPLOAD) as attempt:
        return _with_file(warehouse, attempt, outputs, fetch, lambda file: warehouse.upload(attempt, file))


def create_main_table(warehouse: Warehouse, outputs: Outputs, resumed: Resumed | None = None) -> None:
    """Create the main table if it is absent, and compare it with the source if it is there."""
    with warehouse.step(CREATE):
        warehouse.prepare()


def stage_month(
    warehouse: Warehouse, outputs: Outputs, resumed: Resumed | None = None, fetch: Fetch | None = None
) -> Mapping[str, Any] | Pending:
    """Bring a file's rows into a table of this run.

    :raises EmptyMonthError: no rows, for a source that doesn't allow it
    :raises RejectLimitError: more lines that can't be read than the source allows
    """
    with warehouse.step(STAGE, resumed) as attempt:
        return _with_file(
            warehouse,
            attempt,
            outputs,
            fetch,
            lambda file: warehouse.stage(attempt, file, outputs.get(UPLOAD), resumed),
        )


def hash_rows(
    warehouse: Warehouse, outputs: Outputs, resumed: Resumed | None = None, fetch: Fetch | None = None
) -> Pending | None:
    """Give the staged rows their types and ids.

    :raises RejectLimitError: more rows that can't be read than the source allows
    """
    try:
        hashed = _hash_rows(warehouse, outputs, resumed, fetch)
    except MissingInputError as error:
        if not warehouse.restages:
            raise
        log.warning("%s: staging it again first", error)
        staged = stage_month(warehouse, outputs, fetch=fetch)
        hashed = _hash_rows(warehouse, {**outputs, STAGE: staged}, resumed, fetch)
    if isinstance(hashed, Pending):
        return hashed
    log.info("%s: %s with an id", warehouse.load.where, counted(hashed, "row"))
    return None


def _hash_rows(warehouse: Warehouse, outputs: Outputs, resumed: Resumed | None, fetch: Fetch | None) -> int | Pending:
    with warehouse.step(HASH, resumed) as attempt:
        return _with_file(
            warehouse, attempt, outputs, fetch, lambda file: warehouse.hash(attempt, file, outputs[STAGE], resumed)
        )


def _with_file(
    warehouse: Warehouse,
    attempt: Attempt,
    outputs: Outputs,
    fetch: Fetch | None,
    work: Callable[[Download], ResultT],
) -> ResultT:
    """Do a step's work on the downloaded file; if this worker lacks it, fetch it again, and begin the work again.

    :param attempt: the step's; the ledger knows which file it is
    :param fetch: downloads the file; None: a file that is lost is an error
    :param work: the work, which has changed nothing if it finds the file lost
    :raises LostFileError: the file is lost, and nothing fetches it
    :raises ChangedFileError: the source serves another one now
    """
    file = Download.from_dict(outputs[DOWNLOAD])
    try:
        return work(file)
    except LostFileError as error:
        if fetch is None:
            raise
        lost = error.found
    log.warning("%s: fetching it again", lost)
    again, expected = fetch(), attempt.sha256 or file.sha256
    if again.sha256 != expected:
        raise ChangedFileError(
            f"{lost}. The source serves another file now: fetched SHA-256 {again.sha256} from {again.url}, expected "
            f"{expected}, which {DOWNLOAD} recorded in the ledger. Nothing was published. To load the file that is "
            f"served now, clear the task {DOWNLOAD} with its downstream tasks"
        )
    # The rest says how the load's file came, which stays as it is recorded.
    return work(replace(file, path=again.path))


def check_month(warehouse: Warehouse, outputs: Outputs | None = None, resumed: Resumed | None = None) -> None:
    """Check that every row of the file is accounted for, and what the source wants checked.

    :raises BalanceError: the counts disagree
    :raises RejectLimitError: more rows were rejected than the source allows
    :raises CheckFailedError: names every check that fails the month
    """
    load = warehouse.load
    with warehouse.step(CHECK) as attempt:
        measured = warehouse.measure(attempt)
        found = measured.counted
        require_balance(load, found)
        # A step that failed on the limit, and was tried again, finds its rejected rows gone.
        if left_out := require_few_rejects(load, found.rejected, found.read):
            log.warning("%s", left_out)
        if measured.refused is not None:
            raise measured.refused
        verdict = judge_month(load, measured)
        warnings = warnings_of(attempt.warnings, verdict)
        if warnings != list(attempt.warnings):
            warehouse.record(attempt, warnings=warnings)
        require_checks(load, verdict)
    ready = counted(found.ready, "row")
    log.info("%s: %s ready to be published, all of the file accounted for", load.where, ready)
    for warning in verdict.warnings:
        log.warning("%s: %s", load.where, warning)
    for name in verdict.skipped:
        log.info("%s: check %s not measured: nothing to compare with yet", load.where, name)


def merge_month(
    warehouse: Warehouse,
    outputs: Outputs | None = None,
    resumed: Resumed | None = None,
    *,
    accept_deletions: bool = False,
    answer: Answer | None = None,
    before: Answer | None = None,
) -> dict[str, Any] | Pending | ToApprove:
    """Publish the month in the main table, whole or not at all. If the attempt has published it, look at it again.

    :param accept_deletions: whether any number of published rows may be deleted
    :param answer: what became of the question that the step has returned before
    :param before: an answer to an earlier try: nobody is asked again about the same file and no more rows
    :return: rows that were inserted and deleted, and that stayed unchanged (``inserted``, ``deleted``, ``unchanged``);
        published and rejected rows, the file's SHA-256 and the month's warnings (``rows``, ``rejected``, ``digest``,
        ``warnings``)
    :raises BalanceError: the main table doesn't hold the rows that were published
    :raises DestructiveCorrectionError: more published rows would be deleted than the source allows; if it wants a
        person to approve that, the step returns the question first
    :raises SupersededError: a run that began later has published the month from another file, or found it published
    """
    load = warehouse.load
    with warehouse.step(PUBLISH, resumed) as attempt:
        counts: Counts | Pending | ToApprove
        if attempt.published is None:
            if answer is not None:
                require_approval(load, answer)
            known = answer or before
            approved = known.allows(attempt.sha256) if known is not None else 0
            guard = DeletionGuard(load, attempt, accepts_all=accept_deletions, approved=approved)
            try:
                counts = warehouse.merge(attempt, resumed, guard)
            except DestructiveCorrectionError as error:
                if not load.source.approval or answer is not None:
                    raise
                found = Deletions(error.deleted, error.published)
                counts = ToApprove(attempt.load_id, found, error.found, attempt.sha256)
                warehouse.record(attempt, error=f"{WAITS}{error.found}")
        else:
            # The worker was lost after publishing, and before it could return: this is another try.
            warehouse.require_published(attempt)
            warehouse.record(attempt, "published", error=None)
            counts = attempt.published
    if isinstance(counts, Pending | ToApprove):
        return counts
    log.info(
        "%s: published in %s: %s inserted, %d deleted, %d unchanged",
        load.where,
        load.source.main_table,
        counted(counts.inserted, "row"),
        counts.deleted,
        counts.unchanged,
    )
    return {
        **asdict(counts),
        "rows": attempt.rows_staged,
        "rejected": attempt.rows_rejected,
        "digest": attempt.sha256,
        "warnings": list(attempt.warnings),
    }


def drop_staging(warehouse: Warehouse, outputs: Outputs | None = None, resumed: Resumed | None = None) -> None:
    """Drop the staging tables of this run, however it ended."""
    warehouse.discard()
