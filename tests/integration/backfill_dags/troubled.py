"""DAGs whose months fail, are tried again, wait, or hold on until a test lets them go."""

import datetime
import os
import subprocess
import time
from pathlib import Path

import pendulum
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, BaseOperator, Context, task

START = pendulum.datetime(2019, 1, 1, tz="UTC")
MONTHLY = "0 9 1 * *"


class TripsMissingError(Exception):
    """What a failing month ends with."""


class Deferring(BaseOperator):
    """Waits a moment without a worker."""

    def execute(self, context: Context) -> None:
        """Defer."""
        moment = pendulum.now("UTC") + datetime.timedelta(seconds=0.1)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="resume")

    def resume(self, context: Context, event: object = None) -> str:
        """Go on."""
        return "resumed"


class ReportedLate(BaseOperator):
    """In January, goes on before its worker has reported that it paused: a child process keeps its output open."""

    def execute(self, context: Context) -> None:
        """Defer, and leave the child process; in other months leave their worker free."""
        if context["logical_date"].month > 1:
            return
        resumed = Path(os.environ["AIRFLOW_HOME"], "resumed")
        wait = f"for i in $(seq 600); do [ -e '{resumed}' ] && break; sleep 0.1; done; touch '{resumed}-seen'"
        subprocess.Popen(["sh", "-c", wait])
        self.defer(trigger=DateTimeTrigger(moment=pendulum.now("UTC")), method_name="resume")

    def resume(self, context: Context, event: object = None) -> None:
        """Have the child process end, and go on until its worker must have reported."""
        resumed = Path(os.environ["AIRFLOW_HOME"], "resumed")
        assert not resumed.with_name("resumed-seen").exists(), "the worker had reported before"
        resumed.touch()
        while not resumed.with_name("resumed-seen").exists():
            time.sleep(0.05)
        time.sleep(2)


with DAG("failing", schedule=MONTHLY, start_date=START, catchup=True):

    @task
    def load(logical_date: pendulum.DateTime | None = None) -> None:
        """Fail in March, until a file says otherwise."""
        assert logical_date is not None
        if logical_date.month == 3 and not Path(os.environ["AIRFLOW_HOME"], "corrected").exists():
            raise TripsMissingError(f"no trips in {logical_date:%Y-%m}: expected some")

    load()


def tell(context: Context) -> None:
    """Note down of which run it is called; of March, don't end."""
    month = context["run_id"].removeprefix("backfill__")[:7]
    Path(os.environ["AIRFLOW_HOME"], f"told-{month}").touch()
    if month == "2019-03":
        time.sleep(300)


with DAG("telling", schedule=MONTHLY, start_date=START, catchup=False, on_failure_callback=tell):

    @task
    def fail() -> None:
        """Fail."""
        raise TripsMissingError("none here")

    fail()


with DAG("retrying", schedule=MONTHLY, start_date=START, catchup=True):

    @task(retries=1, retry_delay=datetime.timedelta(seconds=0.2))
    def load_at_second_try(ti: object = None) -> None:
        """Fail once."""
        if ti.try_number == 1:
            raise TripsMissingError("not yet")

    load_at_second_try()


with DAG("deferring", schedule=MONTHLY, start_date=START, catchup=True):
    Deferring(task_id="wait")


with DAG("reported_late", schedule=MONTHLY, start_date=START, catchup=True):
    ReportedLate(task_id="wait")


with DAG("holding", schedule=MONTHLY, start_date=START, catchup=False):

    @task
    def prepare() -> None:
        """Succeed at once."""

    @task
    def hold(logical_date: pendulum.DateTime | None = None) -> None:
        """Wait for a file named after the month, or for all months."""
        assert logical_date is not None
        home = Path(os.environ["AIRFLOW_HOME"])
        (home / f"held-{logical_date:%Y-%m}").write_text(str(os.getpid()))
        while not (home / "release").exists() and not (home / f"release-{logical_date:%Y-%m}").exists():
            time.sleep(0.05)

    prepare() >> hold()


with DAG("stepwise", schedule=MONTHLY, start_date=START, catchup=False):

    @task
    def fetch() -> None:
        """Succeed at once."""

    @task
    def publish() -> None:
        """Fail until a file says otherwise."""
        if not Path(os.environ["AIRFLOW_HOME"], "corrected").exists():
            raise TripsMissingError("no trips: expected some")

    @task
    def tidy() -> None:
        """Succeed, whatever was before."""

    begun = fetch()
    begun >> publish() >> tidy().as_teardown(setups=begun)


with DAG("tolerant", schedule=MONTHLY, start_date=START, catchup=False):

    @task
    def try_it() -> None:
        """Fail."""
        raise TripsMissingError("none here")

    @task(trigger_rule="all_done")
    def go_on() -> None:
        """Succeed all the same."""

    try_it() >> go_on()


with DAG("patient", schedule=MONTHLY, start_date=START, catchup=False):

    @task
    def start() -> None:
        """Succeed at once."""

    @task(retries=1, retry_delay=datetime.timedelta(hours=1))
    def wait_long() -> None:
        """Fail, and wait."""
        raise TripsMissingError("not yet")

    @task
    def tidy_up() -> None:
        """Succeed in any case."""

    started = start()
    started >> wait_long() >> tidy_up().as_teardown(setups=started)


with DAG("hopeful", schedule=MONTHLY, start_date=START, catchup=False):

    @task
    def begin() -> None:
        """Succeed at once."""

    @task(retries=1, retry_delay=datetime.timedelta(hours=1))
    def try_again() -> None:
        """Fail, and wait; no other task tidies up."""
        raise TripsMissingError("not yet")

    begin() >> try_again()
