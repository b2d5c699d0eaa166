"""Alerts: real mails and real requests, of loads by ``airflow dags backfill`` and by a scheduler."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import signal
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from taxiway.orchestration.taxi_conf import taxi_conf
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PATIENCE, free_port, wait_until
from tests.integration.command_output import told_in_each_format
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import COLOURS, run_in_terminal
from tests.integration.watched import Watched
from tests.loading import lines_of, write_gzip
from tests.mirror_faults import FaultyMirror, held, status
from tests.receivers import Receivers, receivers, text_of

GREEN: Source = load_source(SOURCES_FOLDER / "green.yaml")
JANUARY, FEBRUARY, MARCH, APRIL, MAY, _, JULY, AUGUST, SEPTEMBER, OCTOBER, _, DECEMBER = (
    Month(2019, number) for number in range(1, 13)
)
BROKEN = gzip.compress(b"VendorID,<b>,{{ 7 * 7 }}\n1,2,3\n")

VARIABLE = "AIRFLOW_VAR_TAXIWAY_ALERTS"
DAGS = ("taxi", "taxi_maintenance", "taxi_watch")
"""The files of DAGs that are needed here: each is read again and again."""

TO_ALL = [
    {"by": "mail", "to": ["ann@example.com", "bob@example.com"]},
    {"by": "slack"},
    {"by": "webhook", "path": "hook", "about": ["failed", "recovered"]},
]

NOT_REACHED = {
    "mail over smtp_down: ": {"by": "mail", "to": ["ann@example.com"], "connection": "smtp_down"},
    r"webhook over webhook_down: .*\*\*\*": {
        "by": "webhook",
        "connection": "webhook_down",
        "path": "hooks/s3cr3t-path",
    },
    r"webhook over taxi_webhook: .*403.*": {"by": "webhook", "path": "refused"},
}
"""Who isn't reached, by what the log says of that: servers that are down, and one that refuses."""

SILENT = {"mail over smtp_silent: ": {"by": "mail", "to": ["ann@example.com"], "connection": "smtp_silent"}}
"""One whose server says nothing: 5 seconds pass."""


@pytest.fixture(scope="module")
def told() -> Iterator[Receivers]:
    with receivers() as found:
        yield found


@pytest.fixture(scope="module")
def loads(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, told: Receivers
) -> Iterator[Watched]:
    """An Airflow with nothing loaded, which knows the receivers."""
    folder = tmp_path_factory.mktemp("alerts")
    with FaultyMirror() as mirror, TaxiAirflow.create(postgres_server, folder / "home", mirror.url) as taxi:

        def smtp(port: int) -> str:
            plain = {"from_email": "taxiway@example.com", "disable_ssl": True, "disable_tls": True}
            return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": plain})

        taxi.airflow.variables |= {
            **COLOURS,
            "AIRFLOW_CONN_TAXI_SMTP": smtp(told.smtp),
            "AIRFLOW_CONN_SMTP_DOWN": smtp(free_port()),
            "AIRFLOW_CONN_SMTP_SILENT": smtp(told.silent),
            "AIRFLOW_CONN_TAXI_SLACK": json.dumps(
                {"conn_type": "slackwebhook", "host": told.http, "password": "T0/B0/s3cr3t"}
            ),
            "AIRFLOW_CONN_SLACK_DOWN": json.dumps(
                {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{free_port()}", "password": "T0/B0/s3cr3t"}
            ),
            "AIRFLOW_CONN_TAXI_WEBHOOK": json.dumps({"conn_type": "http", "host": told.http}),
            VARIABLE: json.dumps(TO_ALL),
            "AIRFLOW_CONN_WEBHOOK_DOWN": json.dumps(
                {"conn_type": "http", "host": f"http://127.0.0.1:{free_port()}/services/s3cr3t-host"}
            ),
        }
        dags = taxi.airflow.home / "dags"
        dags.unlink()
        dags.mkdir()
        for name in DAGS:
            (dags / f"{name}.py").symlink_to(ROOT / "dags" / f"{name}.py")
        yield Watched(taxi, mirror, folder / "mirror")


def backfill(loads: Watched, first: Month, last: Month, *options: str) -> tuple[int, str]:
    """Load months by ``airflow dags backfill``; the Variable comes from the environment."""
    return loads.taxi.backfill(str(first.first_day), str(last.first_day), "taxi_green", *options)


def forget(loads: Watched, key: str = "taxiway_alerts_told") -> None:
    """Delete a Variable: what was told before isn't counted any more."""
    loads.taxi.airflow.query("DELETE FROM variable WHERE key = %s", key)


def follow(loads: Watched, advice: str) -> None:
    """Run the commands of an advice."""
    _, _, commands = advice.partition("load again: ")
    for command in commands.split("; "):
        program, *words = shlex.split(command)
        assert Path(program).name == "airflow"
        done = loads.taxi.airflow.run(*words, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def october(loads: Watched) -> Month:
    """A month that is published."""
    loads.load(GREEN, OCTOBER)
    return OCTOBER


def spoil(loads: Watched, month: Month) -> None:
    loads.mirror.put(f"/{GREEN.file_path(month)}", BROKEN)


def in_slack(told: Receivers) -> list[str]:
    """What each message in Slack is about: the subject that its mail has."""
    return [body["text"].splitlines()[0] for body in told.posted("/T0/B0/s3cr3t")]


def not_sent(what: str, way: str) -> str:
    """What the log says of a message that somebody didn't get, as a regular expression."""
    return rf"alert not sent: Taxiway: green [^,]+, Postgres: {what}: by {way}"


# --- Under airflow dags backfill, without any service of Airflow


@pytest.fixture(scope="module")
def failed(loads: Watched, told: Receivers) -> tuple[Receivers, str]:
    """What was told of a backfill of which three months failed and one was loaded, and what the command said."""
    told.clear()
    for month in (JANUARY, FEBRUARY, MARCH):
        spoil(loads, month)
    loads.load(GREEN, APRIL)
    with loads.taxi.connect() as connection:
        connection.execute("DELETE FROM green_tripdata WHERE filename = 'green_tripdata_2019-04.csv'")
    # It is tried again, and nobody is told of that.
    loads.mirror.script(f"/{GREEN.file_path(APRIL)}", *[status(503, retry_after="1")] * 2)
    recipients = [*TO_ALL, {"by": "webhook", "path": "every"}, *NOT_REACHED.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(loads.taxi.airflow.variables, VARIABLE, json.dumps(recipients))
        code, output = backfill(loads, JANUARY, APRIL)
    assert code == 1, output
    return deepcopy(told), output


def test_months_that_fail_for_one_cause_in_a_backfill(loads: Watched, failed: tuple[Receivers, str]) -> None:
    told, _ = failed
    mail, more = (mail for mail in told.mails if mail["Subject"].endswith(": failed"))
    first, counted = str(mail["Subject"]), str(more["Subject"])
    assert re.fullmatch(r"Taxiway: green 2019-0[123], Postgres: failed", first)
    assert counted == "Taxiway: green 2 months, Postgres: failed"
    month = first.split()[2].rstrip(",")
    page = text_of(mail)
    assert (mail["From"], mail["X-Envelope-To"]) == ("taxiway@example.com", "ann@example.com, bob@example.com")
    assert f"green {month}: green_tripdata_{month}.csv: the header doesn&#39;t fit" in page
    assert "unknown &lt;b&gt;, {{ 7 * 7 }}. Found VendorID" in page
    assert f"dags backfill -s {month}-01 -e {month}-31 --reprocess-behavior completed taxi_green" in page.replace(
        "-28 ", "-31 "
    )
    base = loads.taxi.airflow.base_url
    assert f'<a href="{base}/dags/taxi_green/runs/backfill__{month}-01' in page
    assert "/tasks/stage_month?try_number=1" in page
    assert f'<a href="{base}/dags/taxi_green/plugin/taxi-dag-months">' in page

    alone, together = told.posted("/hook")
    assert (alone["kind"], alone["source"], alone["months"], alone["warehouse"]) == (
        "failed",
        "green",
        [month],
        "postgres",
    )
    assert sorted([month, *together["months"]]) == ["2019-01", "2019-02", "2019-03"]
    assert [title for title in in_slack(told) if title.endswith(": failed")] == [first, counted]
    assert "&lt;b&gt;" in next(body["text"] for body in told.posted("/T0/B0/s3cr3t") if first in body["text"])


def test_a_month_with_warnings_in_a_backfill(failed: tuple[Receivers, str]) -> None:
    """One of whose rows are gone, though it was published."""
    told, _ = failed
    warned = "Taxiway: green 2019-04, Postgres: published with warnings"
    (mail,) = (mail for mail in told.mails if mail["Subject"] == warned)
    assert "before this load" in text_of(mail)
    posts = told.posted("/every")
    assert len(told.subjects) == 3
    assert sorted(told.subjects) == sorted(in_slack(told)) == sorted(body["title"] for body in posts)
    (post,) = (body for body in posts if body["kind"] == "warnings")
    assert (post["title"], post["months"], "before this load" in post["reason"]) == (warned, ["2019-04"], True)
    # It didn't ask for these.
    assert {body["kind"] for body in told.posted("/hook")} == {"failed"}


def test_recipients_that_are_not_reached_fail_no_load_of_a_backfill(
    loads: Watched, failed: tuple[Receivers, str]
) -> None:
    _, output = failed

    assert "1 of 4 months succeeded" in output
    run_id, what = f"backfill__{APRIL}*", "published with warnings"
    for way in NOT_REACHED:
        assert re.search(not_sent(what, way), log(loads, run_id, "taxi_green")), way
    assert "s3cr3t" not in "\n".join(lines_of_log(loads, "*", "taxi_green"))


def test_the_command_names_the_months_of_a_cause_together(failed: tuple[Receivers, str]) -> None:
    _, output = failed

    (said,) = [line for line in output.splitlines() if "the header doesn't fit" in line and " failed" in line]
    cause = "2019-01, 2019-02, 2019-03 failed for one cause: stage_month: AirflowFailException: green 2019-01: "
    assert said.startswith(cause)
    assert len(re.findall(r"^    log of 2019-01: .*/attempt=1\.log$", output, re.MULTILINE)) == 1
    assert "    log: " not in output


def test_months_that_load_again_as_their_alert_advises(
    loads: Watched, told: Receivers, failed: tuple[Receivers, str]
) -> None:
    told.clear()
    _, together = failed[0].posted("/hook")
    for month in together["months"]:
        loads.publish(GREEN, Month.parse(month))

    follow(loads, together["advice"])

    posts = told.posted("/hook")
    assert sorted(month for body in posts for month in body["months"]) == sorted(together["months"])
    assert {body["kind"] for body in posts} == {"recovered"}
    assert sorted(told.subjects) == sorted(in_slack(told)) == sorted(body["title"] for body in posts)
    assert re.fullmatch(r"Taxiway: green 2019-0[123], Postgres: recovered", told.subjects[0])
    assert "It is loaded. It failed since " in text_of(told.mails[0])


@pytest.fixture
def one_try(loads: Watched) -> Iterator[None]:
    """Airflow tries no task again."""
    query = loads.taxi.airflow.query
    query(
        "CREATE FUNCTION one_try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.max_tries := 0; RETURN NEW; END $$"
    )
    query("CREATE TRIGGER one_try BEFORE INSERT ON task_instance FOR EACH ROW EXECUTE FUNCTION one_try()")
    try:
        yield
    finally:
        query("DROP FUNCTION one_try CASCADE")


@pytest.mark.usefixtures("one_try")
def test_tasks_that_are_killed_are_each_told_once(loads: Watched, told: Receivers) -> None:
    """The task's own process tells nobody any more: Airflow has others run its callback, or none at all.

    The process of one task is killed, and the worker of the other. The reason is the same, and the last run that ends
    tells what was counted.
    """
    told.clear()
    forget(loads)
    answers = []
    for month in (JULY, AUGUST):
        loads.publish(GREEN, month)
        answers.append(held(status(200)))
        loads.mirror.script(f"/{GREEN.file_path(month)}", answers[-1])
    settings = {
        # What Airflow notices in five minutes is to be noticed sooner here.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    }
    command = loads.taxi.airflow.popen(
        *("dags", "backfill", "-s", str(JULY.first_day), "-e", str(AUGUST.first_day), "taxi_green"),
        env={**loads.taxi.airflow.variables, **settings},
        has_airflow=True,
    )
    try:
        for answer in answers:
            assert answer.started is not None
            wait_until(answer.started.is_set, timeout=120, what="the download")
        (task,), (other,) = loads.taxi.airflow.query("SELECT pid FROM task_instance WHERE state = 'running'")
        worker = psutil.Process(psutil.Process(other).ppid())
        assert worker.pid not in (command.pid, psutil.Process(task).ppid())
        for process in (psutil.Process(task), worker):
            process.send_signal(signal.SIGKILL)
        output, _ = command.communicate(timeout=PATIENCE * 240)
    finally:
        for answer in answers:
            assert answer.hold is not None
            answer.hold.set()

    assert command.returncode == 1, output
    assert sorted(told.subjects) == [f"Taxiway: green {month}, Postgres: failed" for month in (JULY, AUGUST)]
    said = "Airflow ended download_month and gives no reason here: its process or its worker was killed, "
    assert [said in text_of(mail) for mail in told.mails] == [True, True]
    assert sorted(body["months"] for body in told.posted("/hook")) == [[str(JULY)], [str(AUGUST)]]
    # And a DAG processor that runs later finds nothing to tell.
    assert loads.taxi.airflow.query("SELECT data FROM callback") == []


def test_a_cache_that_is_broken_is_told(loads: Watched, told: Receivers) -> None:
    """Neither its settings nor a file that can be locked are needed to tell."""
    told.clear()
    lock = loads.taxi.airflow.home / ".taxiway" / "alerts.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir(parents=True)
    set_variable(loads, "taxiway_cache_limit", "x")
    try:
        code, output = backfill(loads, DECEMBER, DECEMBER)
    finally:
        forget(loads, "taxiway_cache_limit")
        lock.rmdir()

    assert code == 1, output
    assert told.subjects == ["Taxiway: green 2019-12, Postgres: failed"]
    assert "taxiway_cache_limit" in text_of(told.mails[0])
    assert f"{lock} can't be locked: " in log(loads, f"backfill__{DECEMBER}*", "taxi_green")


# --- Under a scheduler, and on request


@pytest.fixture(scope="module")
def scheduled(loads: Watched) -> Iterator[Watched]:
    del loads.taxi.airflow.variables[VARIABLE]
    loads.taxi.airflow.succeed("dags", "reserialize")
    # Only the runs of these tests, whatever is unpaused.
    loads.taxi.airflow.query("UPDATE dag SET next_dagrun_create_after = NULL")
    forget(loads)
    with loads.taxi.airflow.services("scheduler"):
        yield loads


def tell(loads: Watched, *recipients: dict[str, Any]) -> None:
    set_variable(loads, "taxiway_alerts", json.dumps(recipients))


def set_variable(loads: Watched, key: str, value: str) -> None:
    """Set a Variable as people do in the web UI."""
    known = loads.taxi.airflow.query("SELECT 1 FROM variable WHERE key = %s", key)
    path, method = (f"/variables/{key}", "PATCH") if known else ("/variables", "POST")
    loads.taxi.airflow.rest(path, method, {"key": key, "value": value})


def run_alerts(loads: Watched, *options: str) -> tuple[int, str, str]:
    """Run ``airflow taxi alerts``; return its exit code, and what it wrote to standard output and to standard error."""
    done = loads.taxi.airflow.run("taxi", "alerts", *options)
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def alerts(loads: Watched, *options: str) -> tuple[int, list[Any], str]:
    """Run ``airflow taxi alerts``; return its exit code, its records and what it said."""
    code, text, said = run_alerts(loads, *options, "-o", "json")
    return code, json.loads(text) if text else [], said


def test_the_command_says_the_same_in_each_format(scheduled: Watched) -> None:
    tell(scheduled, *TO_ALL[1:], {"by": "mail", "to": ["ann@example.com"], "connection": "smtp_down"})

    code, records, said = told_in_each_format(partial(run_alerts, scheduled), "--test")
    assert (code, said, [record["test"] for record in records]) == (1, "", ["sent", "sent", "not sent"])

    code, shown = run_in_terminal(scheduled.taxi.airflow, "taxi", "alerts", columns=40)
    values = ["by: slack", "connection: taxi_slack", "to:", "about: failed, recovered, warnings, late, approval"]
    assert (code, shown.splitlines()[:4], "\x1b" in shown) == (0, values, False)

    code, _, said = run_alerts(scheduled, "--warehouse", "oracle")
    assert (code, "invalid choice: 'oracle' (choose from " in said) == (2, True), said


def test_a_test_message_goes_to_everybody(scheduled: Watched, told: Receivers) -> None:
    told.clear()
    forget(scheduled)
    tell(scheduled, *TO_ALL)
    code, records, said = alerts(scheduled)
    assert (code, said, told.mails, told.posts) == (0, "", [], [])
    assert [(record["by"], record["connection"], record["to"], record["test"]) for record in records] == [
        ("mail", "taxi_smtp", "ann@example.com, bob@example.com", None),
        ("slack", "taxi_slack", None, None),
        ("webhook", "taxi_webhook", "hook", None),
    ]
    assert records[2]["about"] == "failed, recovered"

    code, records, said = alerts(scheduled, "--test")

    assert (code, said, [record["test"] for record in records]) == (0, "", ["sent"] * 3)
    ((mail,), (post,), (slack,)) = told.mails, told.posted("/hook"), told.posted("/T0/B0/s3cr3t")
    assert mail["Subject"] == post["title"] == slack["text"].splitlines()[0]
    assert re.fullmatch(r"Taxiway: \w+ \d{4}-\d{2}, Postgres: test message", post["title"])
    assert mail["X-Envelope-To"] == "ann@example.com, bob@example.com"
    assert "Nothing has happened: airflow taxi alerts --test has sent this to try the settings" in text_of(mail)
    assert (post["kind"], post["warehouse"], post["advice"]) == ("test", "postgres", "Nothing.")
    # Nothing is remembered of it.
    assert not scheduled.taxi.airflow.query("SELECT 1 FROM variable WHERE key = 'taxiway_alerts_told'")


def test_a_test_message_that_does_not_go_says_which_way_and_why(scheduled: Watched, told: Receivers) -> None:
    told.clear()
    mails = [{"by": "mail", "to": ["ann@example.com"], "connection": name} for name in ("smtp_down", "smtp_silent")]
    slack, unknown = {"by": "slack", "connection": "slack_down"}, {"by": "webhook", "connection": "nowhere"}
    tell(scheduled, *mails, slack, TO_ALL[2], unknown)

    code, records, said = alerts(scheduled, "--test")

    assert (code, said) == (1, "")
    assert [record["test"] for record in records] == ["not sent", "not sent", "not sent", "sent", "not sent"]
    notes = [record["note"] for record in records]
    assert re.fullmatch(
        r"not sent by mail over smtp_down: ConnectionRefusedError: .* Correct the connection smtp_down: docs/alerts.md",
        notes[0],
    )
    assert notes[1].startswith("not sent by mail over smtp_silent: ")
    assert notes[2].startswith("not sent by slack over slack_down: ")
    assert "s3cr3t" not in notes[2]
    assert notes[3] == ""
    assert notes[4].startswith("not sent by webhook over nowhere: AirflowNotFoundException: ")
    assert [body["kind"] for body in told.posted("/hook")] == ["test"]


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ("", 1, "nobody is told: the Variable taxiway_alerts isn't set. docs/alerts.md explains it"),
        ('[{"by": "fax"}]', 1, "error: taxiway_alerts can't be used, and nobody is told: 0: "),
    ],
)
def test_a_test_message_that_nobody_gets(value: str, code: int, said: str, scheduled: Watched) -> None:
    set_variable(scheduled, "taxiway_alerts", value)
    found, records, written = alerts(scheduled, "--test")

    assert (found, records) == (code, [])
    assert written.startswith(said)


def run_of(loads: Watched, run_id: str, month: Month) -> str:
    loads.trigger("taxi", run_id, json.loads(taxi_conf(GREEN, month, "postgres")))
    return loads.ended(run_id)


def log(loads: Watched, run_id: str, dag_id: str = "taxi") -> str:
    return "\n".join(json.loads(line)["event"] for line in lines_of_log(loads, run_id, dag_id))


def lines_of_log(loads: Watched, run_id: str, dag_id: str = "taxi") -> list[str]:
    files = (loads.taxi.airflow.home / "logs").rglob(f"*dag_id={dag_id}/run_id={run_id}/**/*.log")
    return [line for path in files for line in path.read_text().splitlines()]


def arrived(told: Receivers, count: int = 1) -> list[str]:
    wait_until(lambda: len(told.mails) >= count, timeout=60, what="a mail")
    return told.subjects


def arrived_by_all(told: Receivers, count: int = 1) -> list[str]:
    return wait_until(
        lambda: found if len(found := told.told_by_all()) >= count else [], timeout=60, what="a message to each"
    )


def test_a_month_fails_recovers_and_warns_in_a_scheduler(scheduled: Watched, told: Receivers) -> None:
    """A recipient that isn't reached fails no load. A message that nobody got is told at the next failure."""
    told.clear()
    not_reached = {**NOT_REACHED, **SILENT}

    def wait_for(run_id: str, what: str) -> None:
        for said in (not_sent(what, way) for way in not_reached):
            wait_until(lambda said=said: re.search(said, log(scheduled, run_id)), timeout=60, what=said)  # type: ignore[misc]
        assert "s3cr3t" not in "\n".join(lines_of_log(scheduled, run_id))

    # What Taxiway hasn't written there keeps nobody from being told.
    set_variable(scheduled, "taxiway_alerts_told", '{"open": []}')
    spoil(scheduled, MAY)
    tell(scheduled, *not_reached.values())
    assert run_of(scheduled, "spoiled", MAY) == "failed"
    wait_for("spoiled", "failed")
    assert told.mails == told.posts == []

    hook = {**TO_ALL[2], "about": ["failed", "recovered", "warnings"]}
    tell(scheduled, *TO_ALL[:2], hook, *not_reached.values())
    assert run_of(scheduled, "spoiled_again", MAY) == "failed"
    assert arrived_by_all(told) == ["Taxiway: green 2019-05, Postgres: failed"]
    assert "/dags/taxi/runs/spoiled/tasks/postgres.stage_month?try_number=1" in text_of(told.mails[0])
    path = scheduled.publish(GREEN, MAY)
    # One row of forty has a negative total, of which a check warns.
    head, first, *lines = lines_of(path)
    fields, place = first.split(","), head.split(",").index("total_amount")
    fields[place] = f"-{fields[place]}"
    write_gzip(path, [head, ",".join(fields), *lines])
    scheduled.mirror.put(f"/{GREEN.file_path(MAY)}", path.read_bytes())
    assert run_of(scheduled, "mended", MAY) == "success"

    _, *subjects = arrived_by_all(told, 3)
    assert subjects == [
        f"Taxiway: green 2019-05, Postgres: {what}" for what in ("recovered", "published with warnings")
    ]
    assert "negative_totals: " in text_of(told.mails[2])
    assert [body["kind"] for body in told.posted("/hook")] == ["failed", "recovered", "warnings"]
    wait_for("mended", "recovered")


def test_a_correction_that_is_held_back_is_loaded_as_its_alert_advises(scheduled: Watched, told: Receivers) -> None:
    """The month's own run has succeeded, and a run of taxi fails after it."""
    told.clear()
    tell(scheduled, *TO_ALL)
    path = scheduled.load(GREEN, APRIL, revision=1)
    few = gzip.decompress(path.read_bytes()).splitlines(keepends=True)[:8]
    scheduled.mirror.put(f"/{GREEN.file_path(APRIL)}", gzip.compress(b"".join(few)))
    assert run_of(scheduled, "held_back", APRIL) == "failed"
    wait_until(lambda: told.posted("/hook"), timeout=60, what="an alert")
    (alert,) = told.posted("/hook")
    assert "would delete" in alert["reason"]

    follow(scheduled, alert["advice"])

    count = "SELECT count(*) FROM green_tripdata WHERE filename = 'green_tripdata_2019-04.csv'"
    assert scheduled.taxi.query(count) == [(len(few) - 1,)]


def test_a_variable_that_cannot_be_used_is_in_the_log(scheduled: Watched) -> None:
    tell(scheduled, {"by": "fax"})
    scheduled.publish(GREEN, MAY)

    assert run_of(scheduled, "unusable", MAY) == "success"
    said = "no alert is sent: SettingError: taxiway_alerts can't be used, and nobody is told: 0: "
    wait_until(lambda: said in log(scheduled, "unusable"), timeout=60, what=said)


@pytest.mark.usefixtures("october")
def test_months_that_are_late(scheduled: Watched, told: Receivers) -> None:
    told.clear()
    for month in (DECEMBER, Month(2020, 1)):
        scheduled.mirror.put(f"/{GREEN.file_path(month)}", status(404))
    tell(scheduled, *({**each, "about": ["late"]} for each in TO_ALL))
    scheduled.pause("taxi_watch", False)

    assert scheduled.look("late")["green 2019-11"] == "overdue"
    assert scheduled.look("late_again")["green 2019-11"] == "overdue"

    (subject,) = arrived_by_all(told)
    assert re.fullmatch(r"Taxiway: green \d+ months, Postgres: late", subject)
    assert "it should be there since 2020-" in text_of(told.mails[0])
    assert "publication_lag_days" in text_of(told.mails[0])


def test_a_look_that_fails_is_told_and_what_it_has_found(october: Month, scheduled: Watched, told: Receivers) -> None:
    told.clear()
    forget(scheduled)
    tell(scheduled, {"by": "mail", "to": ["ann@example.com"]})
    scheduled.publish(GREEN, october, revision=1)
    scheduled.pause("taxi_watch", False)
    scheduled.pause("taxi", True)
    try:
        scheduled.look("paused", state="failed")
    finally:
        scheduled.pause("taxi", False)
        scheduled.publish(GREEN, october)

    failed, late = sorted(arrived(told, 2), key=lambda subject: "late" in subject)
    assert failed == "Taxiway: taxi_watch, postgres.look: failed"
    assert re.fullmatch(r"Taxiway: green \d+ months, Postgres: late", late)
    (page,) = [text_of(mail) for mail in told.mails if mail["Subject"] == failed]
    assert "the DAG taxi is paused" in page
    assert "Then run it again: clear the run in Airflow&#39;s web UI" in page


def test_maintenance_that_fails_is_one_message(scheduled: Watched, told: Receivers) -> None:
    told.clear()
    tell(scheduled, {"by": "mail", "to": ["ann@example.com"]})
    set_variable(scheduled, "taxiway_retention", '{"cache": 1}')
    scheduled.pause("taxi_maintenance", False)

    scheduled.trigger("taxi_maintenance", "unusable_retention", {})

    assert scheduled.ended("unusable_retention") == "failed"
    (subject,) = arrived(told)
    assert re.fullmatch(r"Taxiway: taxi_maintenance, \S+: failed", subject)
    known = "Taxiway: taxi_maintenance, [^:]+: failed: known already"
    tasks = 4
    wait_until(
        lambda: len(re.findall(known, log(scheduled, "unusable_retention", "taxi_maintenance"))) == tasks - 1,
        timeout=60,
        what="the other tasks",
    )
    assert told.subjects == [subject]
    assert "taxiway_retention can&#39;t be used" in text_of(told.mails[0])


@pytest.fixture(scope="module")
def processed(scheduled: Watched) -> Iterator[Watched]:
    """The same with a DAG processor, which has read the DAGs; none of them is started by its schedule."""
    query = scheduled.taxi.airflow.query
    query("UPDATE dag SET is_paused = true WHERE dag_id <> 'taxi'")
    # Those of runs of the tests before, whose tasks have told.
    query("DELETE FROM callback")
    ((before,),) = query("SELECT max(last_parsed_time) FROM dag")
    with scheduled.taxi.airflow.services("dag-processor"):
        unread = "SELECT 1 FROM dag WHERE last_parsed_time <= %s"
        wait_until(lambda: not query(unread, before), timeout=120, what="the DAG processor to read the DAGs")
        yield scheduled


def test_a_catch_up_with_months_that_are_not_there(processed: Watched, told: Receivers) -> None:
    """One run at a time: each time that one has ended, no other is open, and the schedule starts the next one."""
    told.clear()
    forget(processed)
    tell(processed, {"by": "mail", "to": ["ann@example.com"]})
    last = Month.of(GREEN.today())
    while not GREEN.is_due(last):
        last = last.previous()
    first = last.previous().previous()
    begin = datetime(first.year, first.number, 1, 9, tzinfo=timezone.utc)  # as the schedule has it
    processed.taxi.airflow.query(
        "UPDATE dag SET next_dagrun = %s, next_dagrun_data_interval_start = %s, next_dagrun_data_interval_end = %s,"
        " next_dagrun_create_after = now(), max_active_runs = 1, is_paused = false WHERE dag_id = 'taxi_green'",
        *[begin] * 3,
    )

    assert arrived(told, 2) == [
        f"Taxiway: green {first}, Postgres: failed",
        "Taxiway: green 2 months, Postgres: failed",
    ]
    assert f"{first.next()}, {last}" in text_of(told.mails[1])
    ended = "SELECT run_type, state FROM dag_run WHERE dag_id = 'taxi_green' AND logical_date >= %s"
    wait_until(
        lambda: processed.taxi.airflow.query(ended, begin) == [("scheduled", "failed")] * 3,
        timeout=60,
        what="the runs to end",
    )


def test_a_run_that_takes_too_long(processed: Watched, told: Receivers) -> None:
    """Airflow ends it, and the DAG processor tells."""
    told.clear()
    tell(processed, {"by": "mail", "to": ["ann@example.com"], "about": ["failed"]})
    answer = held(status(200))
    assert answer.hold is not None
    assert answer.started is not None
    processed.mirror.script(f"/{GREEN.file_path(SEPTEMBER)}", answer)
    try:
        processed.trigger("taxi", "too_long", json.loads(taxi_conf(GREEN, SEPTEMBER, "postgres")))
        wait_until(answer.started.is_set, timeout=120, what="the download")
        processed.taxi.airflow.query(
            "UPDATE dag_run SET start_date = start_date - interval '13 hours' WHERE run_id = %s", "too_long"
        )
        assert processed.ended("too_long") == "failed"
        assert arrived(told) == ["Taxiway: green 2019-09, Postgres: failed"]
        assert "its run took longer than the DAG&#39;s dagrun_timeout" in text_of(told.mails[0])
    finally:
        answer.hold.set()
