"""The DAG taxi_watch: when it looks, what its form offers, and what a look without an answer means."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import ParamValidationError

from taxiway.download.look import Look, Lookout, Presence
from taxiway.download.refusals import Refusal
from taxiway.errors import DownloadError, DownloadRefusedError, RetryAfterTooLongError
from taxiway.orchestration.mirrors import Mirrors
from taxiway.orchestration.operators.watch_files import WatchFilesOperator, state_of_run
from taxiway.orchestration.retry_after import RetryAfterPolicy
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.orchestration.watch_dag import watch_dag
from tests.dags import as_stored


@pytest.fixture(scope="module")
def dag() -> Any:
    return watch_dag()


@pytest.fixture(scope="module")
def stored(dag: Any) -> Any:
    return as_stored(dag)


def test_it_looks_once_a_day_and_never_into_the_past(dag: Any, stored: Any) -> None:
    assert stored.timetable.summary == "0 12 * * *"
    assert (stored.catchup, stored.max_active_runs) == (False, 1)
    assert dag.is_paused_upon_creation is not False


def test_each_warehouse_is_watched_by_itself(stored: Any) -> None:
    graph = {task.task_id: set(task.downstream_task_ids) for task in stored.tasks}
    assert graph == {
        name: found
        for warehouse in WAREHOUSES
        for name, found in ((f"{warehouse}.look", {f"{warehouse}.trigger"}), (f"{warehouse}.trigger", set()))
    }


def test_a_look_waits_as_the_mirror_asks(dag: Any) -> None:
    looks = [task for task in dag.tasks if task.task_id.endswith(".look")]
    assert all(isinstance(task.retry_policy, RetryAfterPolicy) for task in looks)
    assert len(looks) == len(WAREHOUSES)


def test_its_form_bounds_what_a_look_may_start(stored: Any) -> None:
    assert dict(stored.params.deep_merge({}).validate()) == {"only_look": False, "most_runs": 10, "catch_up": 6}
    assert all(stored.params.get_param(name).description for name in stored.params)
    for wrong in ({"most_runs": 0}, {"most_runs": "all"}, {"catch_up": -1}, {"only_look": "no"}):
        with pytest.raises(ParamValidationError, match=next(iter(wrong))):
            stored.params.deep_merge(wrong).validate()


@pytest.mark.parametrize("word", ["queued", "running", "success", "failed"])
def test_the_state_of_a_run_is_a_word(word: str) -> None:
    """As the decisions compare it; Airflow answers with a member of an Enum."""
    from types import SimpleNamespace

    from airflow.sdk.execution_time.comms import DagRunStateResult

    answer = DagRunStateResult.model_validate({"state": word})
    ti = SimpleNamespace(get_dr_count=lambda dag_id, run_ids: 1, get_dagrun_state=lambda dag_id, run_id: answer.state)

    assert state_of_run(ti, "watch__1") == word
    assert state_of_run(SimpleNamespace(get_dr_count=lambda dag_id, run_ids: 0), "watch__1") is None


# --- A look without an answer


def require_answers(*looks: tuple[Presence, str], retry_after: float | None = None) -> None:
    operator = WatchFilesOperator(task_id="look", warehouse="postgres")
    with requests.Session() as session:
        lookout = Lookout(session, "http://mirror.test")
        lookout.retry_after = retry_after
        mirrors = Mirrors()
        mirrors._lookouts["tlc_mirror"] = lookout
        found = [Look("http://mirror.test/x", presence, said, refusal=Refusal.INSECURE) for presence, said in looks]
        operator._require_answers(found, mirrors.retry_after)


def test_one_answer_is_enough() -> None:
    no_answer = (Presence.UNKNOWN, "no answer")

    require_answers()
    require_answers(no_answer, (Presence.THERE, "the answer is 200 OK"))
    require_answers(no_answer, (Presence.ABSENT, "the answer is 404 Not Found"))


def test_without_any_the_task_is_tried_again_when_the_mirror_says() -> None:
    with pytest.raises(DownloadError) as caught:
        require_answers((Presence.UNKNOWN, "the answer is 503"), retry_after=120)

    assert str(caught.value).startswith(
        "taxi_watch, Postgres: none of 1 file could be asked for: http://mirror.test/x: the answer is 503; expected"
    )
    assert caught.value.retry_after == 120
    with pytest.raises(DownloadError) as again:
        require_answers((Presence.UNKNOWN, f"http://mirror.test/x: no answer. {Refusal.INSECURE.value}"))
    assert str(again.value).count("http://mirror.test/x") == 1
    assert Refusal.INSECURE.value in str(again.value)
    with pytest.raises(RetryAfterTooLongError, match="The next look asks again"):
        require_answers((Presence.UNKNOWN, "the answer is 503"), retry_after=100_000)


def test_a_mirror_that_shows_this_machine_no_file_is_named() -> None:
    with pytest.raises(DownloadRefusedError, match="the mirror may refuse this machine"):
        require_answers((Presence.HIDDEN, "the answer is 403"), (Presence.HIDDEN, "the answer is 403"))
