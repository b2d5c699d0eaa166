"""The pages of reports, and their list: HTML that stands alone, with no script and no address of anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import jinja2
from markupsafe import Markup

from taxiway.paths import REPORTS_TEMPLATES
from taxiway.reports.charts import Chart
from taxiway.reports.figures import Figures
from taxiway.sources.months import Month


def page_of(figures: Figures, charts: Sequence[Chart], files: Mapping[Month, str]) -> str:
    """Write the page.

    :param figures: what it says
    :param charts: drawn from them
    :param files: SHA-256 of the file that each month was published from
    """
    return (
        _environment()
        .get_template("report.html")
        .render(
            figures=figures,
            charts=[(chart, Markup(chart.svg)) for chart in charts],  # noqa: S704 - ours: matplotlib escapes its texts
            files=[(figures.source.download_name(month), sha256) for month, sha256 in sorted(files.items())],
        )
    )


def list_of(reports: Mapping[str, Sequence[str]]) -> str:
    """Write the list of reports.

    :param reports: the names of their periods, by source
    """
    return _environment().get_template("list.html").render(reports=reports)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(REPORTS_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
