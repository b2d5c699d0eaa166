"""Every DAG imports, is what its source implies, and keeps the project's policy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import Source, load_sources
from tests.dags import LEARNING, REPORTS, as_stored

SOURCES = load_sources(SOURCES_FOLDER)
MONTHLY = tuple(source for source in SOURCES if not source.stands_alone)
GRAPH = {
    "download_month": {"stage_month"},
    "stage_month": {"hash_rows", "drop_staging"},
    "hash_rows": {"check_month", "drop_staging"},
    "check_month": {"merge_month"},
    "merge_month": {"drop_staging"},
    "drop_staging": set(),
}


@pytest.fixture
def dag(bag: Any, source: Source) -> Any:
    return bag.dags[f"taxi_{source.name}"]


@pytest.fixture(params=MONTHLY, ids=lambda source: source.name)
def monthly(request: pytest.FixtureRequest) -> Source:
    found: Source = request.param
    return found


@pytest.fixture
def monthly_dag(bag: Any, monthly: Source) -> Any:
    return bag.dags[f"taxi_{monthly.name}"]


def test_every_dag_imports(bag: Any) -> None:
    assert bag.import_errors == {}


def test_dag_ids_are_those_that_the_sources_imply(bag: Any) -> None:
    of_sources = [f"taxi_{source.name}{destination}" for source in SOURCES for destination in ("", "_gcp")]
    assert sorted(bag.dags) == sorted(
        [*of_sources, "gcp_setup", "taxi", "taxi_compare", "taxi_maintenance", "taxi_watch", *LEARNING, *REPORTS]
    )
    assert {"taxi_green", "taxi_yellow"} <= set(bag.dags)


def test_the_dags_of_a_source_know_which_months_there_are(bag: Any, monthly: Source) -> None:
    """The backfill command asks a DAG's tasks why a date has nothing to run."""
    source = monthly
    before, first = source.first_month.previous().first_day, source.first_month.first_day
    for dag_id in (f"taxi_{source.name}", f"taxi_{source.name}_gcp"):
        (ask,) = [task.nothing_for for task in bag.dags[dag_id].tasks if hasattr(task, "nothing_for")]
        assert ask(datetime(before.year, before.month, 1, 9, tzinfo=timezone.utc)) == source.months, dag_id
        assert ask(datetime(first.year, first.month, 1, 9, tzinfo=timezone.utc)) is None, dag_id


def test_every_task_of_every_dag_refuses_a_conf_that_it_does_not_know(bag: Any) -> None:
    from taxiway.orchestration.known_conf import refuse_unknown_conf

    hooks = {
        (dag.dag_id, task.task_id): task.partial_kwargs["pre_execute"] if task.is_mapped else task._pre_execute_hook
        for dag in bag.dags.values()
        for task in dag.tasks
    }
    assert [task for task, hook in hooks.items() if hook is not refuse_unknown_conf] == []


def test_every_param_names_the_draft_by_which_it_is_checked(bag: Any) -> None:
    """Airflow checks it for each task that it reads; by the newest draft, that takes five times as long."""
    drafts = {
        (dag.dag_id, name): dag.params.get_param(name).schema.get("$schema")
        for dag in bag.dags.values()
        if dag.dag_id not in LEARNING
        for name in dag.params
    }
    assert set(drafts.values()) == {"http://json-schema.org/draft-07/schema#"}, drafts


def test_the_task_graph_is_exactly_this(dag: Any) -> None:
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == GRAPH, dag.dag_id
    assert [task.task_id for task in dag.tasks if task.is_teardown] == ["drop_staging"], dag.dag_id
    assert [task.task_id for task in dag.tasks if task.is_setup] == ["stage_month", "hash_rows"], dag.dag_id


def test_every_task_that_may_download_waits_as_the_mirror_asks(bag: Any, source: Source) -> None:
    from taxiway.orchestration.retry_after import RetryAfterPolicy

    for suffix, tasks in (("", {"stage_month"}), ("_gcp", {"upload_month", "stage_month"})):
        dag = bag.dags[f"taxi_{source.name}{suffix}"]
        waiting = {task.task_id for task in dag.tasks if isinstance(task.retry_policy, RetryAfterPolicy)}
        assert waiting == {"download_month", *tasks, "hash_rows"}, dag.dag_id


def test_loads_tell_how_they_end(bag: Any, source: Source) -> None:
    for dag_id in ("taxi", f"taxi_{source.name}", f"taxi_{source.name}_gcp"):
        dag = bag.dags[dag_id]
        told = {
            (task.task_id.rpartition(".")[2], kind): [callback.event for callback in getattr(task, kind)]
            for task in dag.tasks
            for kind in ("on_failure_callback", "on_success_callback", "on_skipped_callback", "on_retry_callback")
        }
        assert [told[task, "on_failure_callback"] for task, _ in told if task != "drop_staging"] == [["failed"]] * (
            len(told) - 4
        ), dag_id
        others = {place for place, events in told.items() if events == ["loaded"]}
        assert others == {
            (task, kind)
            for task in ("download_month", "merge_month")
            for kind in ("on_success_callback", "on_skipped_callback")
        }, dag_id
        assert told["drop_staging", "on_failure_callback"] == [], dag_id
        assert dag.on_failure_callback.event == "run_failed"


def test_every_dag_tells_people_when_it_fails(bag: Any) -> None:
    """But for those of ``dags/learn``: people run them by hand to learn, and look at them."""
    for dag in bag.dags.values():
        if dag.dag_id in LEARNING:
            continue
        assert getattr(dag.on_failure_callback, "event", None) == "run_failed", dag.dag_id
        for task in dag.tasks:
            # A month is published by then, and what is left of its tables is dropped by taxi_maintenance.
            if not task.is_teardown:
                callbacks = task.partial_kwargs["on_failure_callback"] if task.is_mapped else task.on_failure_callback
                given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
                assert [getattr(each, "event", None) for each in given] == ["failed"], (dag.dag_id, task.task_id)


def test_clearing_a_step_runs_again_what_it_needs(dag: Any) -> None:
    """A person who clears the last step gets the staging tables back that the teardown has dropped."""
    for cleared in ("hash_rows", "check_month", "merge_month"):
        subset = as_stored(dag).partial_subset([cleared], include_downstream=True, include_upstream=False)
        assert {"stage_month", "hash_rows", "merge_month", "drop_staging"} <= set(subset.task_ids), cleared


def test_schedules_are_the_sources(dag: Any, source: Source) -> None:
    assert as_stored(dag).timetable.summary == (source.schedule or "None")
    assert dag.catchup is not source.stands_alone
    assert dag.start_date.astimezone(source.zone).date() == source.first_month.first_day
    assert {"green": "0 9 1 * *", "yellow": "0 20 1 * *"}.get(source.name, source.schedule) == source.schedule


def test_a_backfill_of_a_year_means_its_twelve_months(monthly_dag: Any, monthly: Source) -> None:
    import pendulum

    year = monthly.first_month.year + 1
    infos = as_stored(monthly_dag).iter_dagrun_infos_between(
        pendulum.datetime(year, 1, 1, tz=monthly.timezone), pendulum.datetime(year, 12, 31, tz=monthly.timezone)
    )

    months = [str(monthly.month_of(info.logical_date)) for info in infos]
    assert months == [f"{year}-{n:02d}" for n in range(1, 13)]


def runs_of_schedule(timetable: Any, count: int, first: datetime, *, catchup: bool = True) -> list[Any]:
    """The runs that a scheduler makes from a moment on."""
    from airflow.timetables.base import TimeRestriction

    last, found = None, []
    for _ in range(count):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(pendulum_of(first), None, catchup)
        )
        assert info.logical_date == info.data_interval.start == info.data_interval.end
        found.append(info)
        last = info.data_interval
    return found


def pendulum_of(moment: datetime) -> Any:
    import pendulum

    return pendulum.instance(moment)


def minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("keys", "runs"),
    [
        ("", [("2998-08-01 09:00", "2998-11-30 09:00"), ("2998-09-01 09:00", "2998-12-30 09:00")]),
        (
            "publication_lag_days: 0",
            [("2998-08-01 09:00", "2998-09-01 09:00"), ("2998-09-01 09:00", "2998-10-01 09:00")],
        ),
        # From summer time into winter, and back: at nine o'clock in New York.
        (
            "publication_lag_days: 45\ntimezone: America/New_York",
            [("2998-09-01 13:00", "2998-11-15 14:00"), ("2998-10-01 13:00", "2998-12-16 14:00")],
        ),
        (
            "publication_lag_days: 20\ntimezone: America/New_York",
            [("2998-01-01 14:00", "2998-02-21 14:00"), ("2998-02-01 14:00", "2998-03-21 13:00")],
        ),
        # At half past two, which the day of the change lacks.
        (
            "publication_lag_days: 10\ntimezone: America/New_York\nschedule: 30 2 28 * *",
            [("2998-02-28 07:30", "2998-03-11 07:30"), ("2998-03-28 06:30", "2998-04-11 06:30")],
        ),
    ],
)
def test_a_run_starts_when_its_month_s_file_should_be_there(
    keys: str, runs: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Stored or not: a scheduler reads the timetable back."""
    from taxiway.orchestration.dags import load_dag

    text = (SOURCES_FOLDER / "green.yaml").read_text()
    if "schedule:" in keys:
        text = text.replace('schedule: "0 9 1 * *"\n', "")
    (tmp_path / "lime.yaml").write_text(f"{text}{keys}\n")
    (lime,) = load_sources(tmp_path)
    dag = load_dag(lime, "postgres")
    first = datetime.fromisoformat(f"{runs[0][0]}+00:00")

    for timetable in (dag.timetable, as_stored(dag).timetable):
        infos = runs_of_schedule(timetable, 2, first)
        assert [(minute(info.logical_date), minute(info.run_after)) for info in infos] == runs
        for info in infos:
            month = lime.month_of(info.logical_date)
            assert info.run_after.astimezone(lime.zone).date() == lime.due(month)


def test_a_run_that_is_due_is_as_its_cron_expression_has_it() -> None:
    """A warehouse's runs of before stay those of their months, and so do backfills of Airflow's own."""
    from airflow.timetables.trigger import CronTriggerTimetable
    from airflow.utils.types import DagRunType

    from taxiway.orchestration.publication_timetable import PublicationTimetable

    first = datetime(2019, 1, 1, tzinfo=timezone.utc)
    waits = PublicationTimetable("0 9 1 * *", timezone="UTC", lag_days=90)
    cron = CronTriggerTimetable("0 9 1 * *", timezone="UTC")

    assert runs_of_schedule(waits, 31, first) == runs_of_schedule(cron, 31, first)

    (later,) = runs_of_schedule(waits, 1, datetime(2998, 8, 1, tzinfo=timezone.utc))
    named = {"run_after": later.run_after, "data_interval": later.data_interval}
    scheduled = waits.generate_run_id(run_type=DagRunType.SCHEDULED, **named)
    assert scheduled == "scheduled__2998-08-01T09:00:00+00:00"
    assert later.run_after.isoformat() in waits.generate_run_id(run_type=DagRunType.MANUAL, **named)


def test_without_catchup_the_first_run_is_the_latest_that_is_due() -> None:
    from airflow.timetables.base import DataInterval, TimeRestriction

    from taxiway.orchestration.publication_timetable import PublicationTimetable

    waits = PublicationTimetable("0 9 1 * *", timezone="UTC", lag_days=90)
    now, long_ago = datetime.now(timezone.utc), datetime(2019, 1, 1, 9, tzinfo=timezone.utc)

    first, second = runs_of_schedule(waits, 2, long_ago, catchup=False)
    assert first.run_after <= now < second.run_after
    assert (second.logical_date - first.logical_date).days in range(28, 32)
    again = waits.next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(pendulum_of(long_ago)),
        restriction=TimeRestriction(pendulum_of(long_ago), None, catchup=False),
    )
    assert again == first
    (in_years,) = runs_of_schedule(waits, 1, datetime(2998, 8, 1, tzinfo=timezone.utc), catchup=False)
    assert minute(in_years.logical_date) == "2998-08-01 09:00"


def test_a_run_of_a_file_of_no_month_loads_it_whatever_its_date(bag: Any) -> None:
    """Airflow asks for no month, and each date of a run loads the same file."""
    for source in SOURCES:
        if not source.stands_alone:
            continue
        for dag_id in (f"taxi_{source.name}", f"taxi_{source.name}_gcp"):
            dag = bag.dags[dag_id]
            assert set(dag.params) == {"use_cache", "force", "accept_deletions"}, dag_id
            assert {task.month for task in dag.tasks} == {"whole"}, dag_id
            assert dag.max_active_runs == 1, dag_id
            (ask,) = [task.nothing_for for task in dag.tasks if hasattr(task, "nothing_for")]
            for year in (1969, 2019, 2026):
                assert ask(datetime(year, 7, 1, tzinfo=timezone.utc)) is None, dag_id
            assert f"airflow dags trigger {dag_id}" in dag.doc_md, dag_id
            assert "month" not in dag.description, dag_id


@pytest.mark.parametrize("schedule", [None, "@once", "0 6 * * 1"])
def test_a_file_of_no_month_may_have_any_schedule_or_none(schedule: str | None, tmp_path: Path) -> None:
    from taxiway.orchestration.dags import load_dag

    text = (SOURCES_FOLDER / "zones.yaml").read_text()
    (tmp_path / "single.yaml").write_text(f'{text}schedule: "{schedule}"\n' if schedule else text)
    (single,) = load_sources(tmp_path)

    stored = as_stored(load_dag(single, "postgres"))

    assert stored.timetable.summary == (schedule or "None")
    assert stored.catchup is False


def test_every_task_retries_with_backoff_and_ends(dag: Any) -> None:
    for task in dag.tasks:
        where = f"{dag.dag_id}.{task.task_id}"
        assert task.retries >= 2, where
        assert task.retry_exponential_backoff >= 1.5, where
        assert timedelta(seconds=1) <= task.retry_delay <= timedelta(minutes=5), where
        assert task.max_retry_delay >= task.retry_delay, where
        assert task.execution_timeout, where
    assert dag.dagrun_timeout, dag.dag_id


def test_every_dag_is_owned_tagged_and_documented(dag: Any, source: Source) -> None:
    assert {task.owner for task in dag.tasks} == {source.owner}, dag.dag_id
    assert dag.owner == source.owner != "airflow"
    assert set(dag.tags) == {*source.tags, "postgres"}, dag.dag_id
    assert dag.description, dag.dag_id
    first = source.first_month
    year = f"backfill -s {first.first_day} -e {first.year}-12-31"
    assert f"airflow dags {'trigger' if source.stands_alone else year} {dag.dag_id}" in dag.doc_md


def test_the_examples_are_of_months_that_the_source_has(tmp_path: Path) -> None:
    from taxiway.orchestration.dags import load_dag

    text = (SOURCES_FOLDER / "green.yaml").read_text().replace("from: 2019-01", "from: 2021-03")
    (tmp_path / "lime.yaml").write_text(text)
    (lime,) = load_sources(tmp_path)

    dag = load_dag(lime, "postgres")

    assert "airflow dags backfill -s 2021-03-01 -e 2021-12-31 taxi_lime" in dag.doc_md
    assert "2019" not in dag.doc_md


def test_the_trigger_form_names_the_months_that_there_are(monthly_dag: Any, monthly: Source) -> None:
    dag, source = monthly_dag, monthly
    said = dag.params.get_param("month").description
    there_are = f"There are the months {source.months_there_are}"
    assert f"{there_are}; for any other month the run succeeds, and loads nothing" in said
    assert f"Unpausing the DAG also starts all the other months from {source.first_month} on" in said
    assert "trigger the DAG taxi." in said
    assert "A backfill by this form waits while the DAG is paused; airflow dags backfill doesn't wait" in said


@pytest.mark.parametrize("month", ["2019-03", "2021-12", None])
def test_a_month_is_accepted(monthly_dag: Any, month: str | None) -> None:
    as_stored(monthly_dag).params.deep_merge({"month": month}).validate()


@pytest.mark.parametrize(
    "month", ["2019-13", "2019-3", "March", "../2019-03", "2019-03'; --", "{{ ds }}", 201903, "", "whole"]
)
def test_what_is_no_month_is_refused(monthly_dag: Any, month: object) -> None:
    with pytest.raises(ValueError, match="month"):
        as_stored(monthly_dag).params.deep_merge({"month": month}).validate()


def test_dags_survive_serialisation(dag: Any) -> None:
    assert sorted(as_stored(dag).task_ids) == sorted(GRAPH)


PARSE = """
import socket, sys, time
import airflow.sdk, airflow.providers.postgres.hooks.postgres, airflow.providers.http.hooks.http
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Connection, Variable
import sqlalchemy.engine

def refuse(*arguments, **options):
    raise AssertionError(f"while parsing: {arguments}")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
Variable.get = Connection.get = refuse
sqlalchemy.engine.Engine.connect = refuse
begin = time.process_time()
bag = DagBag(dag_folder=sys.argv[1])
took = time.process_time() - begin
assert not bag.import_errors, bag.import_errors
assert bag.dags
print(took)
"""


def test_parsing_opens_no_connection_reads_no_variable_and_is_quick() -> None:
    """The processor imports Airflow and its providers once: what counts is what each parse costs, in processor time.

    By the clock it would take longer wherever other things run beside it.
    """
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(ROOT / "dags")], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert float(done.stdout.splitlines()[-1]) < 2


def test_the_dags_that_load_do_without_google() -> None:
    """Every task imports the file of its DAG: what this one needs, each of them waits for."""
    code = (
        "import sys, runpy\n"
        "runpy.run_path(sys.argv[1])\n"
        "print(sorted(m for m in sys.modules if m.startswith(('google.cloud.', 'google.auth',"
        " 'airflow.providers.google.cloud', 'taxiway.warehouses.bigquery',"
        " 'taxiway.orchestration.operators.gcp', 'taxiway.orchestration.gcp_dags'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "dags" / "taxi.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("wanted", ["taxi", "taxi_green", "taxi_green_gcp", "another"])
def test_a_tasks_process_builds_its_own_dag_only(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID

    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, wanted)  # as Airflow's task runner does

    found = DagBag(dag_folder=str(ROOT / "dags" / "taxi.py"), collect_dags=True)

    every = {"taxi", *(f"taxi_{source.name}{end}" for source in SOURCES for end in ("", "_gcp"))}
    assert set(found.dags) == ({wanted} if wanted in every else every)


def test_a_new_source_is_a_new_dag(tmp_path: Path) -> None:
    """Adding a YAML file adds its DAG and changes no code."""
    import shutil

    from taxiway.orchestration.dags import load_dag

    shutil.copy(SOURCES_FOLDER / "green.yaml", tmp_path / "lime.yaml")
    (lime,) = load_sources(tmp_path)
    dag = load_dag(lime, "postgres")

    assert dag.dag_id == "taxi_lime"
    assert {task.task_id for task in dag.tasks} == set(GRAPH)


@pytest.mark.parametrize("asked", ["2019-3", "201903", 201903, "March 2019", "2019-03-01", " 2019-03", "2019-03\n"])
def test_a_month_that_is_written_otherwise_is_refused_with_the_form_to_use(asked: object, bag: Any) -> None:
    from airflow.exceptions import ParamValidationError

    with_month = [dag for dag in bag.dags.values() if "month" in dag.params and "year" not in dag.params]
    assert len(with_month) == 2 * len(MONTHLY) + 2  # the last ones compare and report
    for dag in with_month:
        params = as_stored(dag).params
        assert params.deep_merge({"month": "2019-03"}).validate()["month"] == "2019-03"
        with pytest.raises(ParamValidationError, match="as YYYY-MM"):
            params.deep_merge({"month": asked}).validate()


@pytest.mark.parametrize(
    ("zone", "schedule"),
    [
        ("America/New_York", "30 2 10 * *"),  # at a time that a change of clocks skips, in March 2019
        ("America/New_York", "30 1 3 * *"),  # at one that it repeats, in November 2019
        ("America/New_York", "59 23 28 * *"),
        ("Asia/Tokyo", "0 0 1 * *"),  # on the day before, in UTC
    ],
)
def test_each_month_has_one_run_in_the_source_s_time_zone(zone: str, schedule: str, tmp_path: Path) -> None:
    import pendulum
    from airflow.sdk.definitions._internal.templater import SandboxedEnvironment

    from taxiway.orchestration.dag_template import MONTH
    from taxiway.orchestration.dags import load_dag

    text = re.sub('schedule: ".*"', f'schedule: "{schedule}"', (SOURCES_FOLDER / "green.yaml").read_text())
    (tmp_path / "lime.yaml").write_text(f"{text}timezone: {zone}\n")
    (lime,) = load_sources(tmp_path)
    dag = load_dag(lime, "postgres")
    first, last = pendulum.datetime(2019, 1, 1, tz=zone), pendulum.datetime(2019, 12, 31, 23, 59, 59, tz=zone)

    dates = [info.logical_date for info in as_stored(dag).iter_dagrun_infos_between(first, last)]

    year = [f"2019-{number:02d}" for number in range(1, 13)]
    template = SandboxedEnvironment().from_string(MONTH)
    no_month = SimpleNamespace(month=None)
    runs = [SimpleNamespace(logical_date=date) for date in dates]
    assert [template.render(params=no_month, dag=dag, dag_run=run) for run in runs] == year
    assert [str(lime.month_of(date)) for date in dates] == year
    minute, hour = map(int, schedule.split()[:2])
    clocks = [date.astimezone(lime.zone).strftime("%H:%M") for date in dates]
    odd = [number for number, clock in enumerate(clocks, 1) if clock != f"{hour:02d}:{minute:02d}"]
    assert odd == ([3] if schedule == "30 2 10 * *" else [])
    assert f"({zone}), with catchup" in dag.doc_md
