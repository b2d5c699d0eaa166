"""Alerts: what a message says, which causes are told when, and what the Variable may say."""

from __future__ import annotations

import json
import socket
import threading
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from taxiway.cli import alerts as command
from taxiway.errors import SettingError
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.messages import LONGEST_MESSAGE
from taxiway.orchestration.alerts import senders
from taxiway.orchestration.alerts.alert import KINDS, LONGEST_REASON, MOST_MONTHS, Alert
from taxiway.orchestration.alerts.memory import AGAIN, PAUSE, Memory
from taxiway.orchestration.alerts.recipients import parse
from taxiway.orchestration.alerts.taxi_alert import TaxiAlert
from taxiway.orchestration.dags import load_dags
from taxiway.orchestration.gcp_dags import gcp_dags
from taxiway.orchestration.report_dags import report_dags
from tests.dags import as_stored

NOW = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
ADAPTER = TypeAdapter(Memory)


def failed(month: str, reason: str = "{}: the mirror answered 503") -> Alert:
    return Alert("failed", "postgres", "green", (month,), reason.format(month), f"manual__{month}", "taxi_green")


def recovered(month: str) -> Alert:
    return replace(failed(month), kind="recovered", reason="")


def warned(month: str, warning: str) -> Alert:
    return replace(failed(month), kind="warnings", reason=warning)


def told(alerts: Sequence[Alert]) -> list[tuple[str, tuple[str, ...]]]:
    return [(alert.kind, alert.months) for alert in alerts]


def alone(run_ids: list[str] | None) -> int:
    """No other run is open."""
    return 1


def stored(memory: Memory) -> Memory:
    """The memory as the next process reads it."""
    return ADAPTER.validate_json(ADAPTER.dump_json(memory))


# --- What is told when


def test_a_month_that_fails_again_for_its_cause_is_told_once() -> None:
    memory = Memory()

    assert told(memory.learn([failed("2019-01")], NOW)) == [("failed", ("2019-01",))]
    for later in (MINUTE, 3 * PAUSE):
        memory = stored(memory)
        memory.forget(NOW + later)
        assert memory.learn([failed("2019-01")], NOW + later) == []
    other = failed("2019-01", "{}: the header doesn't fit")
    assert told(memory.learn([other], NOW + 3 * PAUSE)) == [("failed", ("2019-01",))]


def test_twelve_months_that_fail_for_one_cause_are_one_message_and_one_with_their_count() -> None:
    memory, said = Memory(), list[Alert]()
    months = [f"2019-{number:02d}" for number in range(1, 13)]
    open_runs = set(months)
    for minutes, month in enumerate(months):
        now = NOW + minutes * MINUTE
        memory = stored(memory)
        said += memory.learn([failed(month)], now)
        # The teardown of a run is still at work when its failed task has told.
        open_runs -= set(months[: max(0, minutes - 2)])

        def count(run_ids: list[str] | None, there: frozenset[str] = frozenset(open_runs)) -> int:
            return len(there if run_ids is None else there & {run_id[-7:] for run_id in run_ids})

        said += memory.end("taxi_green", f"manual__{month}", count, now)

    assert told(said) == [("failed", ("2019-01",)), ("failed", tuple(months[1:]))]
    assert said[1].title == "Taxiway: green 11 months, Postgres: failed"
    assert said[1].reason == "2019-02: the mirror answered 503"
    assert memory.ended == {}


def test_of_a_backfill_that_never_ends_months_are_counted_every_hour() -> None:
    memory = Memory()

    def count(run_ids: list[str] | None) -> int:
        return 5 if run_ids is None else 1

    assert told(memory.learn([failed("2019-01")], NOW)) == [("failed", ("2019-01",))]
    assert memory.learn([failed("2019-02")], NOW + MINUTE) == []
    assert memory.end("taxi_green", "a", count, NOW + MINUTE) == []
    assert told(memory.end("taxi_green", "b", count, NOW + PAUSE)) == [("failed", ("2019-02",))]


def test_months_that_fail_one_after_another_are_told_one_after_another() -> None:
    memory, said = Memory(), list[Alert]()
    for minutes, month in enumerate(["2019-01", "2019-02", "2019-03"]):
        memory, now = stored(memory), NOW + minutes * MINUTE
        said += memory.learn([failed(month)], now)
        said += memory.end("taxi_green", f"manual__{month}", alone, now)

    assert told(said) == [("failed", ("2019-01",)), ("failed", ("2019-02",)), ("failed", ("2019-03",))]


def test_a_month_that_recovers_before_it_is_told_is_not_told() -> None:
    memory = Memory()
    memory.learn([failed("2019-01")], NOW)
    assert memory.learn([failed("2019-02"), failed("2019-03")], NOW + MINUTE) == []

    assert memory.loaded(recovered("2019-02")) is not None
    (counted,) = stored(memory).end("taxi_green", "x", alone, NOW + 2 * MINUTE)

    assert counted == failed("2019-03")
    memory.loaded(recovered("2019-03"))
    assert memory.end("taxi_green", "x", alone, NOW + 2 * PAUSE) == []


def test_a_month_is_told_for_the_cause_for_which_it_failed_last() -> None:
    memory = Memory()
    memory.learn([failed("2019-01")], NOW)
    memory.learn([failed("2019-02")], NOW)
    other = failed("2019-02", "{}: the header doesn't fit")

    assert told(memory.learn([other], NOW)) == [("failed", ("2019-02",))]
    assert memory.end("taxi_green", "x", alone, NOW + 2 * PAUSE) == []


def test_another_cause_another_source_and_another_warehouse_are_told_at_once() -> None:
    memory = Memory()
    alert = failed("2019-01")
    others = [
        failed("2019-02", "{}: the header doesn't fit: expected VendorID"),
        replace(alert, source="yellow"),
        replace(alert, warehouse="bigquery"),
    ]

    assert told(memory.learn([alert, *others], NOW)) == [("failed", each.months) for each in (alert, *others)]


def test_whether_a_run_has_told_of_its_failure() -> None:
    """A task that is killed tells nothing; then the callback of its run does, and else it doesn't."""
    memory = Memory()
    alert = failed("2019-01")
    assert not memory.has_told(alert, NOW)
    memory.learn([alert], NOW)
    assert memory.has_told(alert, NOW)

    # The next run, whatever an earlier one has told.
    assert not stored(memory).has_told(alert, NOW + MINUTE)
    assert memory.learn([alert], NOW + 2 * MINUTE) == []
    assert memory.has_told(alert, NOW + MINUTE)
    # A run that has asked, and was cancelled perhaps.
    memory.learn([replace(failed("2019-02"), kind="approval"), replace(failed("2019-03"), kind="late")], NOW)
    assert memory.has_told(failed("2019-02"), NOW)
    assert not memory.has_told(failed("2019-02"), NOW + MINUTE)
    assert not memory.has_told(failed("2019-03"), NOW)


def test_a_month_that_is_loaded_has_recovered_once() -> None:
    memory = Memory()
    assert memory.loaded(recovered("2019-01")) is None
    memory.learn([failed("2019-01"), failed("2019-02")], NOW)

    news = stored(memory).loaded(recovered("2019-01"))

    assert news is not None
    assert news.reason == "It is loaded. It failed since 2026-01-05 12:00 UTC: 2019-01: the mirror answered 503"
    assert memory.loaded(recovered("2019-01")) is not None
    assert memory.loaded(recovered("2019-01")) is None
    # What fails next for the cause doesn't name the month that has recovered.
    assert told(memory.learn([failed("2019-03")], NOW + PAUSE)) == [("failed", ("2019-03",))]


def test_a_late_month_recovers_and_an_approved_one_has_nothing_to_recover_from() -> None:
    memory = Memory()
    late = replace(failed("2019-01"), kind="late", reason="it should be there since 2019-05-01")
    approval = replace(failed("2019-02"), kind="approval", reason="3 of 4 rows would be deleted")

    assert told(memory.learn([late, approval], NOW)) == [("late", ("2019-01",)), ("approval", ("2019-02",))]
    assert memory.loaded(recovered("2019-02")) is None
    news = memory.loaded(recovered("2019-01"))
    assert news is not None
    assert "It was late since " in news.reason


def test_each_run_that_waits_for_approval_is_told() -> None:
    memory = Memory()
    question = replace(failed("2019-01"), kind="approval", reason="3 of 4 rows would be deleted")
    assert memory.learn([question], NOW) == [question]
    # Its task was lost, and asks once more.
    assert memory.learn([question], NOW + 2 * PAUSE) == []
    # The run was cancelled, marked or deleted meanwhile: nobody says so.
    another = replace(question, run="manual__another")

    assert stored(memory).learn([another], NOW + 2 * PAUSE) == [another]


def test_a_dag_that_loads_no_month_is_told_once_for_each_run_that_fails() -> None:
    memory = Memory()
    reason = "taxiway_retention can't be used"
    trim = Alert("failed", "", "", ("",), reason, "scheduled__1", "taxi_maintenance", task="trim_cache")
    clean = replace(trim, task="clean_metadata")
    other = replace(clean, reason="airflow db clean ended with 1")

    assert memory.learn([trim, clean, other], NOW) == [trim, other]
    assert memory.learn([replace(trim, run="scheduled__2")], NOW + PAUSE) == [replace(trim, run="scheduled__2")]
    assert trim.title == "Taxiway: taxi_maintenance, trim_cache: failed"
    assert set(trim.lines) == {"Task", "Reason", "What to do", "Run"}
    assert trim.advice.endswith("Then run it again: clear the run in Airflow's web UI")
    assert trim.json["months"] == []


def test_months_with_the_same_warning_are_one_message() -> None:
    memory = Memory()
    alerts = [
        warned("2019-01", "share_negative of fare_amount is 0.02: expected 0.01"),
        warned("2019-02", "share_negative of fare_amount is 0.03: expected 0.01"),
        warned("2019-02", "share_null of VendorID is 0.03: expected 0.01"),
    ]

    assert told(memory.learn(alerts, NOW)) == [("warnings", ("2019-01", "2019-02")), ("warnings", ("2019-02",))]
    assert memory.open == {}


def test_a_message_that_reached_nobody_is_told_again_soon() -> None:
    memory = Memory()
    (lost,) = memory.learn([failed("2019-01")], NOW)

    memory.lost(lost, NOW)
    memory = stored(memory)

    assert memory.end("taxi_green", "x", lambda ids: 2 if ids is None else 1, NOW + MINUTE) == []
    assert memory.end("taxi_green", "y", lambda ids: 3 if ids is None else 2, NOW + AGAIN) == [lost]


def test_a_lost_message_names_no_month_that_has_recovered() -> None:
    memory = Memory()
    (lost,) = memory.learn([failed("2019-01"), failed("2019-02")], NOW)
    memory.loaded(recovered("2019-01"))
    memory.lost(lost, NOW)
    assert told(memory.end("taxi_green", "x", alone, NOW)) == [("failed", ("2019-02",))]

    memory.loaded(recovered("2019-02"))
    memory.lost(lost, NOW)
    assert memory.end("taxi_green", "x", alone, NOW + PAUSE) == []


def test_the_memory_stays_small() -> None:
    memory = Memory()
    for number in range(1000):
        memory.learn([failed("2019-01", f"cause {'x' * number}")], NOW)
        memory.end("taxi_green", f"run {number}", lambda ids: 2 if ids is None else 1, NOW)
        memory.forget(NOW + PAUSE)

    assert (len(memory.causes), len(memory.open), len(memory.ended["taxi_green"])) == (0, 1, 500)
    # It is heard of again.
    memory.learn([failed("2019-01", f"cause {'x' * 999}")], NOW + timedelta(days=399))
    memory.forget(NOW + timedelta(days=401))
    assert len(memory.open) == 1
    memory.forget(NOW + timedelta(days=800))
    assert memory.open == {}


# --- What is known of a run that took too long, and of a task that Airflow ended


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    return {dag.dag_id: dag for dag in (*load_dags(), *gcp_dags(), *report_dags())}


def test_a_run_that_took_too_long_is_of_the_warehouse_that_it_was_asked_for(dags: dict[str, Any]) -> None:
    """The DAG processor speaks of several runs in one process, each with the last task that the run hasn't ended."""
    dag, last = dags["taxi"], "postgres.drop_staging"
    ti = SimpleNamespace(task_id=last, log_url="http://x/log")
    for month, warehouse, into in (("07", "bigquery", "BigQuery"), ("08", "postgres", "Postgres")):
        params = {"taxi": "yellow", "year": "2019", "month": month, "warehouse": warehouse}
        context: Any = {"dag": dag, "run_id": "r", "reason": "timed_out", "task": dag.get_task(last), "ti": ti}
        context |= {"params": params, "dag_run": SimpleNamespace(run_id="r", conf=params)}

        (alert,) = TaxiAlert("run_failed").alerts(context)

        assert (alert.source, alert.months, alert.warehouse) == ("yellow", (f"2019-{month}",), warehouse)
        assert alert.title == f"Taxiway: yellow 2019-{month}, {into}: failed"


@pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [("gcp_setup", "create_bucket"), ("taxi_compare", "compare"), ("taxi_monthly_report", "write_report"),
     ("taxi_year_report", "write_report")],
)  # fmt: skip
def test_a_task_that_loads_nothing_is_of_its_dag_alone(dag_id: str, task_id: str, dags: dict[str, Any]) -> None:
    """A report or a comparison may be of a month, which is loaded all the same."""
    task = dags[dag_id].get_task(task_id)
    ti = SimpleNamespace(task_id=task_id, log_url="http://x/log")
    context: Any = {"dag": dags[dag_id], "run_id": "r", "task": task, "ti": ti, "exception": ValueError("why")}

    (alert,) = TaxiAlert("failed").alerts(context)

    assert (alert.source, alert.months, alert.warehouse) == ("", ("",), "")
    assert alert.title == f"Taxiway: {dag_id}, {task_id}: failed"
    assert alert.advice == "Put right what the reason names. Then run it again: clear the run in Airflow's web UI"


def test_a_run_of_dags_test_that_failed_was_told_by_its_task(dags: dict[str, Any]) -> None:
    """``airflow dags test`` calls this with a DAG that can render no template."""
    dag = as_stored(dags["gcp_setup"])
    task = dag.get_task("create_bucket")

    TaxiAlert("run_failed")({"dag": dag, "run_id": "r", "reason": "task_failure", "task": task})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("dag_id", "title"), [("taxi", "taxi"), ("taxi_green", "green, Postgres"), ("taxi_zones_gcp", "zones, BigQuery")]
)
def test_of_a_run_without_a_task_only_the_dag_is_known(dag_id: str, title: str, dags: dict[str, Any]) -> None:
    context: Any = {"dag": dags[dag_id], "run_id": "r", "reason": "timed_out"}

    (alert,) = TaxiAlert("run_failed").alerts(context)

    assert alert.title == f"Taxiway: {title}: failed"
    assert f"Run: {dag_id} r" in alert.text
    assert alert.html
    assert Memory().learn([alert], NOW) == [alert]


def test_of_a_task_that_airflow_ended_no_reason_is_made_up(dags: dict[str, Any]) -> None:
    dag, ti = dags["taxi_zones"], SimpleNamespace(task_id="stage_month", log_url="http://x/log")
    context: Any = {"dag": dag, "run_id": "r", "task": dag.get_task("stage_month"), "ti": ti}

    (alert,) = TaxiAlert("failed").alerts(context)

    assert alert.reason.startswith("Airflow ended stage_month and gives no reason here: ")
    assert "never left the queue" in alert.reason


@pytest.mark.parametrize(
    ("run_type", "is_paused", "is_due", "open_runs"),
    [
        ("scheduled", False, True, 2),
        ("scheduled", False, False, 1),
        ("scheduled", True, True, 1),
        # Perhaps no scheduler is alive.
        ("backfill", False, True, 1),
    ],
)
def test_a_run_that_the_schedule_is_about_to_start_is_open(
    run_type: str, is_paused: bool, is_due: bool, open_runs: int, dags: dict[str, Any]
) -> None:
    next_run = datetime(2019, 3, 1, 9, tzinfo=timezone.utc) if is_due else datetime.now(timezone.utc)
    airflow = SimpleNamespace(
        get_dr_count=lambda *_, **__: 1,
        get_dag=lambda _: SimpleNamespace(is_paused=is_paused, next_dagrun=next_run),
    )
    dag = dags["taxi_green"]
    context: Any = {"dag": dag, "run_id": "r", "task": dag.get_task("stage_month"), "ti": airflow}
    context |= {"dag_run": SimpleNamespace(run_type=run_type), "exception": ValueError("why")}

    count = TaxiAlert("failed").counter(context)

    assert (count(None), count(["r"])) == (open_runs, 1)


@pytest.mark.parametrize(
    ("states", "open_tasks"),
    [
        (["success", "running", None], 2),
        ([None, None], 2),
        (["failed", "upstream_failed"], 0),
        (["success", None, None], 0),
    ],
)
def test_tasks_of_a_run_that_was_interrupted_are_not_open(
    states: list[str | None], open_tasks: int, dags: dict[str, Any]
) -> None:
    """A task that was killed tells of itself through the DAG processor, which knows tasks alone."""
    dag = dags["taxi_green"]
    tasks = {"r": dict(enumerate(states))}
    context: Any = {"dag": dag, "run_id": "r", "task": dag.get_task("stage_month")}
    context["ti"] = SimpleNamespace(get_task_states=lambda *_, **__: tasks)

    assert TaxiAlert("failed").counter(context)(["r"]) == open_tasks


def test_a_schedule_that_cannot_be_asked_loses_no_count(dags: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: str) -> Any:
        raise RuntimeError("no such DAG")

    dag = dags["taxi_green"]
    context: Any = {"dag": dag, "run_id": "r", "task": dag.get_task("stage_month"), "exception": ValueError("why")}
    context |= {"ti": SimpleNamespace(get_dr_count=lambda *_, **__: 3, get_dag=refuse)}
    context["dag_run"] = SimpleNamespace(run_type="scheduled")

    assert TaxiAlert("failed").counter(context)(None) == 3
    assert "no such DAG" in caplog.text


# --- What a message says


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_says_what_when_where_why_and_what_to_do(kind: str) -> None:
    alert = replace(failed("2019-03"), kind=kind, log="http://x/log", board="http://x/board")

    for text in (alert.text, alert.html):
        for part in ("green", "2019-03", "Postgres", "the mirror answered 503", "http://x/log", "http://x/board"):
            assert part in text
    assert set(alert.json) >= {"kind", "source", "months", "warehouse", "reason", "advice", "run", "log", "board"}
    assert alert.advice


def test_a_failed_month_is_advised_with_its_command() -> None:
    assert failed("2019-03").advice.endswith(
        "airflow dags backfill -s 2019-03-01 -e 2019-03-31 --reprocess-behavior completed taxi_green"
    )
    assert failed("").advice.endswith("clear the run in Airflow's web UI")
    held_back = replace(failed("2019-03"), reason=f"3 of 4 rows: load the month again with the conf {ACCEPTING_CONF}")
    assert held_back.advice == (
        "Look first at the file of 2019-03: the last load would delete too many published rows. If it is right, load "
        "again: airflow dags backfill -s 2019-03-01 -e 2019-03-31 "
        f"--reprocess-behavior completed -c '{ACCEPTING_CONF}' taxi_green"
    )
    many = replace(failed("2019-01"), months=tuple(f"2019-{number:02d}" for number in range(1, 13, 2)))
    assert many.advice.endswith(
        "Then load again: airflow taxi status --warehouse postgres --source green has the command for each month"
    )
    zones = replace(failed("whole"), source="zones", warehouse="bigquery")
    assert zones.advice.endswith("airflow dags test taxi_zones_gcp")
    assert zones.title == "Taxiway: zones, BigQuery: failed"


def test_what_a_file_says_is_text_in_every_message() -> None:
    alert = failed("2019-03", "<script>x</script> {{{{ 7 * 7 }}}}\nBcc: eve@example.com \x1b[31m" + "ü" * 5000)

    assert "<script>" not in alert.html
    assert "&lt;script&gt;x&lt;/script&gt; {{ 7 * 7 }}" in alert.html
    assert "\n" not in alert.title
    assert "\x1b" not in alert.text + alert.html
    assert len(alert.said) <= LONGEST_REASON
    assert len(alert.text) < LONGEST_MESSAGE


def test_many_months_are_named_in_part() -> None:
    alert = replace(failed("2019-01"), months=tuple(f"{year}-01" for year in range(1900, 2000)))

    assert alert.title == "Taxiway: green 100 months, Postgres: failed"
    assert alert.lines["Months"].endswith(f", 1923-01 and {100 - MOST_MONTHS} more")


# --- Who is told


def test_the_variable_says_who_is_told_of_what() -> None:
    found = parse(
        '[{"by": "mail", "to": ["ann@example.com"], "about": ["failed"]}, {"by": "slack", "connection": "team"}, '
        '{"by": "webhook", "path": "hooks/taxi"}]'
    )

    assert [(each.by, each.connection, each.about) for each in found] == [
        ("mail", "taxi_smtp", ["failed"]),
        ("slack", "team", list(KINDS)),
        ("webhook", "taxi_webhook", list(KINDS)),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ann@example.com", "Invalid JSON"),
        ('{"by": "mail"}', "the value: Input should be a valid array"),
        ('[{"by": "fax"}]', "'mail', 'slack', 'webhook'"),
        ('[{"by": "mail"}]', "0.mail.to: Field required"),
        ('[{"by": "mail", "to": []}]', "0.mail.to: "),
        ('[{"by": "mail", "to": ["ann"]}]', "'ann' is no address such as ann@example.com"),
        ('[{"by": "mail", "to": ["a@b.c\\nBcc: eve@example.com"]}]', "is no address"),
        ('[{"by": "slack", "about": ["fail"]}]', "'failed', 'recovered', 'warnings', 'late' or 'approval'"),
        ('[{"by": "slack", "abuot": ["failed"]}]', "0.slack.abuot: Extra inputs"),
    ],
)
def test_a_variable_that_cannot_be_used_says_why(text: str, said: str) -> None:
    with pytest.raises(SettingError) as raised:
        parse(text)

    assert said in str(raised.value)
    assert str(raised.value).startswith("taxiway_alerts can't be used, and nobody is told: ")
    assert "docs/alerts.md" in str(raised.value)


# --- How long it may take


def test_all_messages_of_a_task_have_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "LONGEST_SEND", 1.0)
    monkeypatch.setattr(senders, "LONGEST_ANSWER", 2)
    alerts = [failed(f"2019-{number:02d}") for number in range(1, 6)]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        plain = {"from_email": "taxiway@example.com", "disable_ssl": True, "disable_tls": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": silent.getsockname()[1], "extra": plain}
        monkeypatch.setenv("AIRFLOW_CONN_TAXI_SMTP", json.dumps(connection))

        assert senders.send(alerts, parse('[{"by": "mail", "to": ["ann@example.com"]}]')) == alerts

        for thread in threading.enumerate():
            if thread.name == senders.THREAD:
                thread.join(60)
        # Only the first one was tried: what is told later isn't sent now.
        silent.settimeout(1)
        asked = 0
        with suppress(TimeoutError):
            while True:
                silent.accept()[0].close()
                asked += 1
    assert asked == 1


def test_a_test_message_without_a_source_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SOURCES_FOLDER", tmp_path)
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_ALERTS", '[{"by": "webhook", "connection": "nowhere"}]')

    with pytest.raises(SystemExit) as ended:
        command.alerts(Namespace(test=True, warehouse="postgres", output="json", verbose=False))

    assert ended.value.code == 1
    expected = f"error: {tmp_path}: no source here: expected at least one *.yaml file\n"
    assert capsys.readouterr().err == expected
