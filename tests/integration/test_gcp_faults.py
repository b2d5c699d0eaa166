"""What goes wrong in the cloud, through the DAG's operators, each tried as often as Airflow would."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.bases.operator import TriggerFailureReason
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from stand_ins.bigquery import StandIn, service_account_key
from stand_ins.bigquery.faults import HeldJob
from stand_ins.cloud_storage import CloudStorage
from taxiway.errors import TransientWarehouseError
from taxiway.loads.month import create_main_table
from taxiway.loads.step_names import STEP_NAMES
from taxiway.orchestration.load_tasks import OPERATORS
from taxiway.orchestration.operators.compare_months import CompareMonthsOperator
from taxiway.orchestration.operators.step_operator import StepOperator
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import SETTINGS, Cloud, start_publishing
from tests.faults.task_runner import context_of
from tests.loading import specified_ids
from tests.mirror_faults import FaultyMirror

ROWS = 40
TIMEOUT = timedelta(hours=2)
RETRIES = 3
"""As the DAG has it."""
MONTH = Month(2019, 1)
"""All tests load it, one after another: each another one of its two files than the one that is published."""
TESTS = itertools.count(1)


@pytest.fixture(scope="module")
def green() -> Source:
    """Green taxis as the operators read them: with the columns of later months, too."""
    return load_source(SOURCES_FOLDER / "green.yaml")


@dataclass
class Loading:
    """A project on the stand-ins, a mirror, and a month that is loaded and has a corrected file.

    :param test: number of the test, which its runs have in their ids
    :param published: ids that the table held before
    :param attempts: how many the ledger had before
    :param tried_again: steps that were, and why
    :param timeouts: of the waits in the triggerer
    """

    cloud: Cloud
    bigquery: StandIn
    storage: CloudStorage
    mirror: FaultyMirror
    source: Source
    folder: Path
    test: int
    published: list[str] = field(default_factory=list)
    attempts: int = 0
    tried_again: list[tuple[str, str]] = field(default_factory=list)
    timeouts: set[timedelta | None] = field(default_factory=set)

    def file(self, revision: int) -> Path:
        """Return one of the month's two files."""
        path = self.folder / str(revision) / self.source.download_name(MONTH)
        write_sample_month(self.source, MONTH, path, rows=ROWS, revision=revision)
        return path

    def correct(self) -> Path:
        """Put the other one of the month's two files on the mirror than the one that is published; return it."""
        path = next(path for path in map(self.file, (0, 1)) if self.ids_of(path) != self.published)
        self.mirror.put(f"/{self.source.file_path(MONTH)}", path.read_bytes())
        return path

    def ids_of(self, path: Path) -> list[str]:
        """Return the ids that a file must come to."""
        return sorted(specified_ids(self.source, path))

    def run_id(self, name: str) -> str:
        """Return the id of a run of this test."""
        return f"manual__{self.test}_{name}"

    def load(self, name: str, *, deferrable: bool = False) -> None:
        """Run the DAG's tasks one after another; the teardown runs whatever happened."""
        run_id, outputs = self.run_id(name), dict[str, Any]()
        try:
            for task_id in STEP_NAMES:
                outputs[task_id] = self._run(self.operator(task_id, deferrable=deferrable), run_id, outputs)
        finally:
            self._run(self.operator("drop_staging"), run_id, outputs)

    def operator(self, task_id: str, **options: Any) -> StepOperator:
        """Return the operator of a step."""
        waits = {"poll_interval": 0.01, "execution_timeout": TIMEOUT}
        of_month = {"source_name": self.source.name, "month": str(MONTH), "warehouse": "bigquery"}
        return OPERATORS[task_id](task_id=task_id, **of_month, **waits, **options)

    def _run(self, operator: Any, run_id: str, outputs: dict[str, Any]) -> Any:
        for try_number in range(1, RETRIES + 2):
            context = context_of(run_id, try_number, outputs)
            try:
                try:
                    return operator.execute(context)
                except TaskDeferred as deferred:
                    self.timeouts.add(deferred.timeout)
                    (event,) = asyncio.run(events(deferred.trigger))
                    resume: Callable[..., Any] = getattr(operator, deferred.method_name)
                    return resume(context, event=event, **(deferred.kwargs or {}))
            except AirflowFailException:
                raise
            except TransientWarehouseError as error:
                self.tried_again.append((operator.task_id, str(error)))
                if "The month is published" not in str(error):
                    assert self.ids() == self.published, "the table is as it was before"
        raise AssertionError(f"{operator.task_id} failed {RETRIES + 1} times: {self.tried_again}")

    def ids(self) -> list[str]:
        return sorted(self.cloud.ids(self.source, str(MONTH)))

    def states(self) -> list[str]:
        """Return the states of this test's attempts."""
        return [entry.state for entry in self.cloud.loads(self.source, str(MONTH))][self.attempts :]

    def errors(self) -> list[str | None]:
        return [row[0] for row in self.cloud.query("SELECT error FROM `$taxi.loads` ORDER BY load_number")]


async def events(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


@pytest.fixture(scope="module")
def services(
    green: Source, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[StandIn, CloudStorage, FaultyMirror, Path]]:
    """The stand-ins and the settings, for all tests, and a folder for the month's files; the month is loaded once."""
    with (
        CloudStorage() as storage,
        StandIn() as bigquery,
        FaultyMirror() as mirror,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        patch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
        for name, value in (
            ("PROJECT_ID", SETTINGS.project),
            ("LOCATION", SETTINGS.location),
            ("BUCKET_NAME", SETTINGS.bucket),
            ("DATASET", SETTINGS.dataset),
        ):
            patch.setenv(f"AIRFLOW_VAR_GCP_{name}", value)
        key = json.dumps(service_account_key(bigquery.url, SETTINGS.project))
        patch.setenv(
            "AIRFLOW_CONN_TAXI_GCP", json.dumps({"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": key}})
        )
        patch.setenv("AIRFLOW_CONN_TLC_MIRROR", json.dumps({"conn_type": "http", "host": mirror.url}))
        folder = tmp_path_factory.mktemp("months")
        patch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(folder / "cache"))
        loading = Loading(Cloud.connect().set_up(), bigquery, storage, mirror, green, folder, 0)
        expected = loading.ids_of(loading.correct())
        loading.load("before")
        assert loading.ids() == expected
        yield bigquery, storage, mirror, folder


@pytest.fixture
def loading(
    services: tuple[StandIn, CloudStorage, FaultyMirror, Path],
    green: Source,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Loading]:
    """A month that is loaded, and a corrected file of it on the mirror. Whatever a test does, no key is in a log."""
    bigquery, storage, mirror, folder = services
    loading = Loading(Cloud.connect(), bigquery, storage, mirror, green, folder, next(TESTS))
    loading.published, loading.attempts = loading.ids(), len(loading.states())
    bigquery.forget_requests()
    try:
        yield loading
    finally:
        bigquery.faults.clear()
        assert loading.timeouts <= {TIMEOUT}, "Airflow bounds by itself only what runs on a worker"
        assert loading.cloud.staging_tables() == []
        said = capfd.readouterr()
        key = service_account_key(bigquery.url, SETTINGS.project)["private_key"].splitlines()[5]
        errors = " ".join(error for _, error in loading.tried_again)
        assert key not in caplog.text + said.out + said.err + errors
        assert "PRIVATE KEY" not in caplog.text + said.out + said.err + errors


PASSING = [
    ("stage_month", '"load"', "backendError", False),
    ("hash_rows", "Gives every staged row", "jobInternalError", True),
    ("merge_month", "MERGE", "quotaExceeded", False),
    ("merge_month", "MERGE", "rateLimitExceeded", True),
]


@pytest.mark.parametrize(
    ("task_id", "containing", "reason", "deferrable"), PASSING, ids=[f"{case[0]}-{case[2]}" for case in PASSING]
)
def test_a_job_that_fails_or_has_no_quota_is_tried_again(
    loading: Loading, task_id: str, containing: str, reason: str, deferrable: bool
) -> None:
    corrected = loading.ids_of(loading.correct())
    loading.bigquery.faults.polls_until_done = int(deferrable)
    loading.bigquery.faults.fail_next_job(reason, containing=containing)

    loading.load("corrected", deferrable=deferrable)

    ((step, said),) = loading.tried_again
    assert step == task_id
    assert f"({reason})" in said
    assert "Nothing was published" in said
    assert loading.ids() == corrected != loading.published
    assert loading.states() == ["failed", "published"]


@pytest.mark.parametrize(("task_id", "deferrable"), [("stage_month", True), ("merge_month", False)])
def test_a_403_fails_at_once_and_names_the_roles(loading: Loading, task_id: str, deferrable: bool) -> None:
    loading.correct()
    loading.bigquery.faults.polls_until_done = int(deferrable)
    containing = {"stage_month": '"load"', "merge_month": "MERGE"}[task_id]
    loading.bigquery.faults.fail_next_job("accessDenied", containing=containing, at_insert=not deferrable)

    with pytest.raises(
        AirflowFailException, match="needs BigQuery Job User on the project, BigQuery Data Editor"
    ) as told:
        loading.load("corrected", deferrable=deferrable)

    assert re.match(rf"green {MONTH}: {task_id}", str(told.value))
    assert loading.tried_again == []
    assert loading.ids() == loading.published
    assert loading.states() == ["failed"]


def test_a_bucket_that_is_gone_is_told(loading: Loading, monkeypatch: pytest.MonkeyPatch) -> None:
    loading.correct()
    monkeypatch.setenv("AIRFLOW_VAR_GCP_BUCKET_NAME", "a-bucket-that-is-gone")

    with pytest.raises(AirflowFailException, match="run the DAG gcp_setup"):
        loading.load("corrected")

    assert loading.ids() == loading.published
    assert loading.states() == ["failed"]


@pytest.mark.parametrize(("kind", "deferrable"), [("drop", False), ("503", True)])
def test_a_lost_poll_is_asked_again(loading: Loading, kind: str, deferrable: bool) -> None:
    """Whoever looks at the job of the MERGE gets no answer, once: worker or triggerer."""
    corrected = loading.ids_of(loading.correct())
    held = loading.bigquery.faults
    held.polls_until_done = 1
    held.answer(kind, path_containing="/jobs/taxiway_publish_")

    loading.load("corrected", deferrable=deferrable)

    assert loading.tried_again == [], "the job is found again, and none is started twice"
    assert loading.ids() == corrected
    assert loading.states() == ["published"]
    assert len(merge_jobs(loading)) == 1


def merge_jobs(loading: Loading) -> list[str]:
    return [
        request.body["jobReference"]["jobId"]
        for request in loading.bigquery.requests
        if request.method == "POST" and "taxiway_publish_" in json.dumps(request.body)
    ]


def test_once_the_month_is_published_whatever_goes_wrong_is_tried_again_and_says_so(loading: Loading) -> None:
    corrected = loading.ids_of(loading.correct())
    loading.bigquery.faults.fail_next_job("accessDenied", containing='"published"')
    loading.bigquery.faults.fail_next_job("accessDenied", containing="Counts the published rows")

    loading.load("corrected")

    (first, said), (second, then) = loading.tried_again
    assert first == second == "merge_month"
    assert "The month is published, but not yet recorded in the ledger: the account" in said
    assert "The month is published, and recorded in the ledger: the account" in then
    assert "Nothing was published" not in said + then
    assert loading.ids() == corrected
    assert loading.states() == ["failed", "published"]
    assert len(merge_jobs(loading)) == 1, "the second try has looked for the job of the first, and found it"


def merging(loading: Loading, *, deferrable: bool = True) -> StepOperator:
    return loading.operator("merge_month", deferrable=deferrable)


@contextmanager
def ready(loading: Loading, name: str) -> Iterator[CloudTables]:
    """The month's corrected file, ready to be published."""
    path = loading.correct()
    tables = loading.cloud.tables(loading.source, str(MONTH), loading.run_id(name))
    try:
        loading.cloud.ready(tables, path)
        yield tables
    finally:
        loading.cloud.discard(tables)


def deferred(step: Callable[[], Any], method: str) -> TaskDeferred:
    """Run a step until it waits in the triggerer, and goes on with a method of the operator."""
    with pytest.raises(TaskDeferred) as waits:
        step()
    assert waits.value.method_name == method
    return waits.value


def end_of_wait(loading: Loading, waits: TaskDeferred, held: HeldJob) -> dict[str, Any]:
    """Run the trigger, and let the job go on when the trigger has seen that it isn't done; return what goes on."""
    loading.bigquery.forget_requests()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asyncio.run, events(waits.trigger))
        try:
            loading.bigquery.wait_until_answered(200, path_ending=waits.trigger.job_id)
            assert not waiting.done()
        finally:
            held.release()
        (event,) = waiting.result(60)
    return {"event": event, **(waits.kwargs or {})}


def test_other_runs_publications_are_waited_for_in_the_triggerer_and_then_the_own_one(loading: Loading) -> None:
    """No worker is held by any of them, however often the task is deferred."""
    with ready(loading, "1") as first, ready(loading, "2") as other, ready(loading, "own"):
        operator, context = merging(loading), context_of(loading.run_id("own"))
        step = partial(operator.execute, context)
        for tables in (first, other):
            held = loading.bigquery.faults.hold_next_job(containing="MERGE")
            theirs = start_publishing(loading.cloud.jobs(), tables, loading.cloud.attempt(tables)).job
            waits = deferred(step, "start_again")
            assert waits.trigger.job_id == theirs.job_id
            assert waits.trigger.cancel_on_kill is False, "the job is not ours to cancel"
            step = partial(operator.start_again, context, **end_of_wait(loading, waits, held))

        held = loading.bigquery.faults.hold_next_job(containing="MERGE")
        waits = deferred(step, "resume")
        assert waits.trigger.cancel_on_kill is True
        counts = operator.resume(context, **end_of_wait(loading, waits, held))

        assert (counts["inserted"], counts["deleted"]) == (0, 0), "the first one has published the same file"
        loading.cloud.publish(first)
        loading.cloud.publish(other)
    assert loading.states() == ["published"] * 3


def test_a_task_that_is_lost_after_its_entry_says_again_what_it_published(loading: Loading) -> None:
    """Whatever another run has published meanwhile."""
    with ready(loading, "lost"), ready(loading, "second") as second:
        operator = merging(loading, deferrable=False)
        counts = operator.execute(context_of(loading.run_id("lost")))
        loading.cloud.publish(second)
        loading.bigquery.forget_requests()

        assert operator.execute(context_of(loading.run_id("lost"), try_number=2)) == counts
    assert counts["inserted"] > 0
    assert merge_jobs(loading) == []
    assert loading.states() == ["published"] * 2


def test_a_try_that_was_lost_is_told_from_a_task_that_was_cleared(loading: Loading) -> None:
    """Airflow counts the tries of a cleared task on: the first one after that is no retry, and lost no worker."""
    run_id = loading.run_id("cleared")
    tables = loading.cloud.tables(loading.source, str(MONTH), run_id)
    loading.cloud.begin(tables, loading.correct(), force=True)
    begun = loading.cloud.attempt(tables)
    operator = loading.operator("create_main_table", retries=RETRIES)
    context = context_of(run_id, 5, {"upload_month": {}})
    context["ti"].max_tries = 4 + RETRIES

    operator.execute(context)
    assert loading.cloud.attempt(tables).load_id == begun.load_id
    context["ti"].try_number = 6
    operator.execute(context)
    assert loading.cloud.attempt(tables).number == 2

    assert loading.states() == ["abandoned", "running"]


def test_a_task_that_waits_in_the_triggerer_for_too_long_says_so_and_ends_its_job(loading: Loading) -> None:
    """Airflow calls none of the task's methods then but the one that resumes it."""
    run_id = loading.run_id("late")
    cloud, tables = loading.cloud, loading.cloud.tables(loading.source, str(MONTH), run_id)
    outputs = cloud.upload(tables, cloud.begin(tables, loading.correct(), force=True))
    create_main_table(cloud.opened(tables), outputs)
    steps = [("stage_month", '"load"'), ("hash_rows", "Gives every staged row"), ("merge_month", "MERGE")]
    try:
        for number, (task_id, containing) in enumerate(steps):
            context = context_of(run_id, outputs=outputs)
            operator: Any = loading.operator(task_id, deferrable=True)
            held = loading.bigquery.faults.hold_next_job(containing=containing)
            with pytest.raises(TaskDeferred) as waits:
                operator.execute(context)
            held.wait_until_running()
            job_id = waits.value.trigger.job_id

            with pytest.raises(TransientWarehouseError, match=rf"{MONTH}: {task_id}: .*{job_id} was RUNNING") as told:
                operator.resume_execution("__fail__", {"error": TriggerFailureReason.TRIGGER_TIMEOUT}, context)

            jobs = cloud.jobs()
            assert jobs.wait(jobs.find_job(job_id)).error_result["reason"] == "stopped"
            assert loading.states() == ["failed"] * (number + 1)
            assert loading.errors()[-1] == f"{task_id}: {told.value}"
            if task_id == "stage_month":
                outputs = cloud.stage(tables, outputs)
            elif task_id == "hash_rows":
                cloud.hash(tables, outputs)
    finally:
        cloud.discard(tables)
    assert loading.ids() == loading.published


def test_whoever_waits_again_after_the_triggerer_can_be_stopped(loading: Loading) -> None:
    """The triggerer gave up while the job went on; then the task is killed."""
    with ready(loading, "killed"):
        held = loading.bigquery.faults.hold_next_job(containing="MERGE")
        operator: Any = merging(loading)
        context = context_of(loading.run_id("killed"))
        with pytest.raises(TaskDeferred) as waits:
            operator.execute(context)
        held.wait_until_running()
        found: list[BaseException] = []

        def resume() -> None:
            try:
                operator.resume(context, {"status": "error", "message": "lost"}, **(waits.value.kwargs or {}))
            except BaseException as error:
                found.append(error)

        waiting = threading.Thread(target=resume)
        waiting.start()
        for _ in range(300):
            operator.on_kill()
            waiting.join(0.1)
            if not waiting.is_alive():
                break

    assert "(stopped)" in str(found[0])
    assert loading.ids() == loading.published


MONTHS_THAT_ARE_NONE = ["../2019-01", "2019-01'; DROP TABLE x; --", "{{ 7*7 }}", "2019-01\n", "2019-13", "", "2019-1"]


@pytest.mark.parametrize("month", MONTHS_THAT_ARE_NONE)
def test_what_is_no_month_is_refused_before_anything_is_asked(
    month: str, services: tuple[StandIn, CloudStorage, FaultyMirror, Path]
) -> None:
    bigquery, *_ = services
    bigquery.forget_requests()
    context = context_of("manual__1")
    context["dag_run"].dag_id = "taxi_green_gcp"
    said = "is not a month: write it as YYYY-MM" if month else "neither the parameter month nor a logical date"
    for task_id in STEP_NAMES:
        operator = OPERATORS[task_id](task_id=task_id, source_name="green", month=month, warehouse="bigquery")
        with pytest.raises(AirflowFailException, match=said):
            operator.execute(context)
    if month:
        comparison = CompareMonthsOperator(task_id="compare", source_names=["green"], month=month)
        with pytest.raises(AirflowFailException, match="is not a month"):
            comparison.execute(context)
    assert bigquery.requests == []


@pytest.mark.parametrize("name", ["../green", "green'; --", "{{ 7*7 }}", "", "green\n", "lime"])
def test_what_is_no_source_is_refused_before_anything_is_asked(
    name: str, services: tuple[StandIn, CloudStorage, FaultyMirror, Path]
) -> None:
    bigquery, *_ = services
    bigquery.forget_requests()
    context = context_of("manual__1")
    with pytest.raises(AirflowFailException, match=r"source"):
        OPERATORS["download_month"](
            task_id="download_month", source_name=name, month="2019-01", warehouse="bigquery"
        ).execute(context)
    if name:
        comparison = CompareMonthsOperator(task_id="compare", source_names=["green"], source_name=name)
        with pytest.raises(AirflowFailException, match="expected one of green"):
            comparison.execute(context)
    assert bigquery.requests == []
