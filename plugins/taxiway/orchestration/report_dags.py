"""Builds the DAGs that report: one for months, one for years."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import (
    DAG,
    AssetAny,
    IdentityMapper,
    Param,
    PartitionedAssetTimetable,
    ProductMapper,
    StartOfMonthMapper,
    StartOfYearMapper,
    get_parsing_context,
)
from airflow.sdk.definitions.asset import BaseAsset
from airflow.sdk.definitions.partition_mappers.base import PartitionMapper

from taxiway.orchestration.assets import SUMMARY, asset_of
from taxiway.orchestration.dag_template import month_param, param, service_dag
from taxiway.orchestration.operators.summarize_months import SummarizeMonthsOperator
from taxiway.orchestration.operators.write_month_reports import WriteMonthReportsOperator
from taxiway.orchestration.operators.write_year_reports import WriteYearReportsOperator
from taxiway.orchestration.report_link import MONTHLY_DAG_ID, YEAR_DAG_ID
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import MONTH_FORMAT
from taxiway.sources.source import Source, read_sources

_SOURCE = "{{ (partition_key or '').partition('|')[0] or params.source }}"
_MONTH = "{{ (partition_key or '').partition('|')[2] or params.month or '' }}"
_YEAR = "{{ (partition_key or '').partition('|')[2] or params.year or '' }}"

_MONTHLY_DOC = """\
## A report of each month

Each month that a load publishes in Postgres sets off a run of its own: its partition key is source and month, for
example `green|2019-03`. Unpause this DAG to get a report of each month from then on. A month that changes is
reported again; a load that finds its month unchanged sets nothing off.

| task | what it does |
|---|---|
| `write_summary` | writes the month's rows of `public.monthly_zone_summary` anew: trips, revenue, distance and tips by day, pickup zone and payment type |
| `write_report` | writes `<source>/<month>.html`, and a PNG of each chart, to the folder of the Variable `taxiway_reports_folder`, else `reports` |

By hand: `airflow dags trigger taxi_monthly_report -c '{"source": "green", "month": "2019-03"}'`. Without a
month, every published month of the source is reported, for example those that were published while this DAG was
paused. docs/reports.md says more.
"""  # noqa: E501 - a table's row is one line

_YEAR_DOC = """\
## A report of each year

Each month that `taxi_monthly_report` has summed up sets off a run for its year, for example `green|2019`. If all
twelve months are in, it writes the year's report, else the task is skipped, and its log names the months that are
missing. If a month changes later, the year is reported again.

By hand: `airflow dags trigger taxi_year_report -c '{"source": "green", "year": "2019"}'`. Without a year, every
year of the source is reported that has all its months. docs/reports.md says more.
"""


def report_dags() -> tuple[DAG, ...]:
    """Build the DAGs that report; in a task's process, only that task's."""
    sources, _ = read_sources(SOURCES_FOLDER)
    reported = [source for source in sources if source.report]
    if not reported:
        return ()
    build = {MONTHLY_DAG_ID: monthly_report_dag, YEAR_DAG_ID: year_report_dag}
    wanted = get_parsing_context().dag_id
    return tuple(make(reported) for dag_id, make in build.items() if wanted not in build or wanted == dag_id)


def monthly_report_dag(sources: Sequence[Source]) -> DAG:
    """Build the DAG that reports each published month.

    :param sources: the sources that have a report
    """
    assets = {source.name: asset_of("postgres", source) for source in sources}
    # With the source in its key, a month of one source never waits for that of another, nor shares a run with it.
    keys: dict[BaseAsset, PartitionMapper] = {
        assets[source.name]: StartOfMonthMapper(
            input_format=MONTH_FORMAT, output_format=f"{source.name}|{MONTH_FORMAT}", timezone="UTC"
        )
        for source in sources
    }
    # Two runs of one month would write one file: the second one waits.
    with service_dag(
        MONTHLY_DAG_ID,
        "A summary and a report of each month that is published in Postgres",
        _MONTHLY_DOC,
        schedule=PartitionedAssetTimetable(assets=AssetAny(*assets.values()), partition_mapper_config=keys),
        tags=["postgres", "report"],
        params={
            "source": _source_param(sources),
            "month": month_param("The month to report, as YYYY-MM. Empty: every month of the source."),
        },
    ) as dag:
        summary = SummarizeMonthsOperator(
            task_id="write_summary", source_name=_SOURCE, month=_MONTH, inlets=[*assets.values()], outlets=[SUMMARY]
        )
        summary >> WriteMonthReportsOperator(task_id="write_report", source_name=_SOURCE, month=_MONTH)
    return dag


def year_report_dag(sources: Sequence[Source]) -> DAG:
    """Build the DAG that reports a year as soon as all its months are in.

    :param sources: the sources that have a report
    """
    with service_dag(
        YEAR_DAG_ID,
        "A report of each year whose twelve months are published in Postgres",
        _YEAR_DOC,
        # Airflow could wait for all twelve months by itself, but would not look at a month that changes later:
        # docs/decisions/0024-reports.md
        schedule=PartitionedAssetTimetable(
            assets=SUMMARY,
            default_partition_mapper=ProductMapper(IdentityMapper(), StartOfYearMapper(input_format=MONTH_FORMAT)),
        ),
        tags=["postgres", "report"],
        params={
            "source": _source_param(sources),
            "year": param(
                None,
                type=["null", "string"],
                pattern=r"^[12][0-9]{3}(?!\n)$",
                title="Year, as YYYY",
                description="The year to report. Empty: every year of the source that has all its months.",
            ),
        },
    ) as dag:
        WriteYearReportsOperator(task_id="write_report", source_name=_SOURCE, year=_YEAR, inlets=[SUMMARY])
    return dag


def _source_param(sources: Sequence[Source]) -> Param:
    names = [source.name for source in sources]
    return param(
        "green" if "green" in names else names[0],
        type="string",
        enum=names,
        values_display={source.name: source.title for source in sources},
        title="Source",
        description="What to report.",
    )
