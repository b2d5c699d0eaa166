"""What the DAGs have in common, whichever warehouse they load into.

Every task imports the file of its DAG: nothing here needs more than Airflow itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import DAG, Param

from taxiway.loads.deletions import ACCEPT_DELETIONS
from taxiway.messages import counted
from taxiway.orchestration.alerts.taxi_alert import TaxiAlert
from taxiway.orchestration.known_conf import refuse_unknown_conf
from taxiway.orchestration.publication_timetable import PublicationTimetable
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID, taxi_conf
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import MONTH_FORMAT, MONTH_PATTERN, WHOLE
from taxiway.sources.source import Source, load_sources

MONTH = (
    "{{ params.month or "
    f"(dag_run.logical_date.astimezone(dag.timezone).strftime('{MONTH_FORMAT}') if dag_run.logical_date else '') "
    "}}"
)
"""The month of a run: the parameter if a person gave one, else the logical date's in the source's time zone.
Airflow 3 reads a bare cron expression as a point in time, so the data interval has no length."""

USE_CACHE = "{{ '' if params.use_cache else 'false' }}"
"""Off for one run by the parameter; else the Variable taxiway_use_cache decides."""

MUST_EXIST = "{{ dag_run.run_type == 'manual' and not params.get('month') }}"
"""Whether a file that isn't there fails the run: one that a person has started without naming a month."""

MAX_ACTIVE_RUNS = 4
"""Months that are loaded side by side."""

DAGRUN_TIMEOUT = timedelta(hours=12)
"""Longest run of a DAG."""

RUN_FAILED = TaxiAlert("run_failed")
"""Tells people of a run that took longer, or whose task was killed; of any other failure, its task tells."""


def require_sound_sources() -> None:
    """Make sure that every file of ``include/sources`` can be used.

    :raises SourceConfigError: says of every file that can't what is wrong
    """
    load_sources(SOURCES_FOLDER)


def month_dag(source: Source, dag_id: str, *, warehouse: str, description: str, doc: str) -> DAG:
    """Make the DAG that loads a source, one month a run, without its tasks; or one file, whenever it runs.

    :param source: the source, from its YAML file
    :param dag_id: the DAG's id
    :param warehouse: what it loads into, as a tag
    :param description: one line
    :param doc: Markdown, with the names of :func:`str.format` in it
    """
    params = load_params()
    if not source.stands_alone:
        month = month_param(
            f"The month to load, as YYYY-MM. There are the months {source.months_there_are}; for any other month the "
            f"run succeeds, and loads nothing. Empty: the month of the logical date; if there is no such month, the "
            f"run fails. Unpausing the DAG also starts all the other months from {source.first_month} on. To load one "
            f"month, leave it paused, and trigger the DAG {TAXI_DAG_ID}. In a backfill, leave the month empty. A "
            f"backfill by this form waits while the DAG is paused; airflow dags backfill doesn't wait."
        )
        params = {"month": month, **params}
    return DAG(
        dag_id=dag_id,
        dag_display_name=dag_id,
        description=description,
        doc_md=doc.format(
            title=source.title,
            table=source.main_table,
            rows="\n".join(_about(source, dag_id, warehouse)),
            of="the file" if source.stands_alone else "one month",
            it="the file" if source.stands_alone else "a month",
            the="table" if source.stands_alone else "month",
            source=source.name,
        ),
        schedule=schedule_of(source),
        start_date=datetime(source.first_month.year, source.first_month.number, 1, tzinfo=source.zone),
        catchup=not source.stands_alone,
        max_active_runs=1 if source.stands_alone else MAX_ACTIVE_RUNS,
        dagrun_timeout=DAGRUN_TIMEOUT,
        on_failure_callback=RUN_FAILED,
        tags=[*source.tags, warehouse],
        params=params,
        default_args=default_args(source.owner),
    )


def service_dag(dag_id: str, description: str, doc: str, *, tags: Sequence[str], **more: Any) -> DAG:
    """Make a DAG that loads no month itself, without its tasks: one run at a time, and none for days gone by.

    People are told of a run that fails.

    :param tags: besides ``taxi``
    :param more: other arguments of the DAG
    """
    return DAG(
        dag_id=dag_id,
        description=description,
        doc_md=doc,
        start_date=datetime(2019, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=1,
        on_failure_callback=RUN_FAILED,
        tags=["taxi", *tags],
        default_args={**default_args("taxiway"), "on_failure_callback": TaxiAlert("failed")},
        **{"dagrun_timeout": DAGRUN_TIMEOUT, **more},
    )


def schedule_of(source: Source) -> str | PublicationTimetable | None:
    """Return when the runs start: the run of a month waits until its file should be there."""
    if source.schedule is None or source.stands_alone:
        return source.schedule
    return PublicationTimetable(source.schedule, timezone=source.timezone, lag_days=source.publication_lag_days)


def param(default: Any, **schema: Any) -> Param:
    """Return a parameter of a DAG.

    Airflow checks a parameter's schema each time that it looks at its value: some ten times for each task that it
    serializes, and in each task's process. That takes a fifth of the time if the schema names JSON Schema's draft 7;
    if it names none, it is checked by the newest.

    :param schema: title, description, and what JSON Schema's draft 7 has
    """
    return Param(default, **{"$schema": "http://json-schema.org/draft-07/schema#", **schema})


def load_params() -> dict[str, Param]:
    """Return the parameters of every DAG that loads."""
    return {
        "use_cache": param(
            True,
            type="boolean",
            title="Use the cache",
            description="Take a file that hasn't changed on the mirror from the cache. Off: fetch it again.",
        ),
        "force": param(
            False,
            type="boolean",
            title="Force",
            description="Load the file even if its bytes are published already.",
        ),
        ACCEPT_DELETIONS: param(
            False,
            type="boolean",
            title="Accept deletions",
            description="Publish the file even if it deletes more published rows than max_deleted_share allows.",
        ),
    }


def month_of_runs(source: Source) -> str:
    """Return the period that a source's tasks load: a template, or the period of a file that stands alone."""
    return str(WHOLE) if source.stands_alone else MONTH


def how(source: Source) -> str:
    """Say how a source is loaded, in words that follow where to."""
    return "" if source.stands_alone else ", month by month"


def _about(source: Source, dag_id: str, warehouse: str) -> Iterator[str]:
    """Yield the rows of a DAG's table that say what it loads, and when."""
    for each in source.releases:
        yield f"| files, {each.months} | `{each.path}` below the connection `{each.connection}` |"
    if source.stands_alone:
        schedule = f"`{source.schedule}` ({source.timezone})" if source.schedule else "none: run it by hand"
        yield f"| schedule | {schedule} |"
        yield f"| a run | `airflow dags trigger {dag_id}`: whatever its logical date is, it loads the same file |"
        return
    yield f"| schedule | `{source.schedule}` ({source.timezone}), with catchup, from {source.first_month} |"
    days = counted(source.publication_lag_days, "day")
    yield f"| a run starts | {days} after its month's end, when its file should be there |"
    yield "| the month of a run | its logical date's, or the parameter `month` |"
    first = source.first_month
    yield f"| its first year | `airflow dags backfill -s {first.first_day} -e {first.year:04d}-12-31 {dag_id}` |"
    one = taxi_conf(source, first, warehouse)
    yield f"| one month | `airflow dags trigger {TAXI_DAG_ID} -c '{one}'` |"
    yield f"| if it is unpaused | it starts every month from {source.first_month} on by itself |"


def month_param(description: str) -> Param:
    """Return a parameter that is a month, or nothing."""
    return param(
        None,
        type=["null", "string"],
        pattern=MONTH_PATTERN,
        title="Month, as YYYY-MM",
        description=description,
        not_for_backfills=True,
    )


def default_args(owner: str) -> dict[str, Any]:
    """Return what every task is given.

    :param owner: whom the tasks belong to
    """
    return {
        "owner": owner,
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        # Airflow counts the tries of earlier reruns, too: without a limit this would grow and grow.
        "max_retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(hours=2),
        "pre_execute": refuse_unknown_conf,
    }
