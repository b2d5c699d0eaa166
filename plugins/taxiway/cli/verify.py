"""``airflow taxi verify``: compares published months with what they must hold."""

from __future__ import annotations

from argparse import Namespace

from taxiway.cli import commands, course
from taxiway.cli.output import FINDINGS, FINE, command, say, show
from taxiway.cli.warehouses import published_months
from taxiway.compare.known_figures import DIFFERS, check_figures, find_months, read_figures
from taxiway.errors import InvalidArgumentError
from taxiway.paths import FIGURES_FILE, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, find_source, load_sources


@command
def verify(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code
    :raises InvalidArgumentError: an option can't be used
    """
    first, last = (Month.parse(text) if text else None for text in (arguments.first, arguments.last))
    if first and last and first > last:
        raise InvalidArgumentError(f"--from {first} is after --to {last}: exchange them")
    if not arguments.course:
        raise InvalidArgumentError("say what to compare the months with: --course")
    sources = {source.name: source for source in _sources(arguments.source)}
    figures = [
        figure
        for figure in read_figures(FIGURES_FILE)
        if figure.source in sources
        and (first is None or first <= figure.first)
        and (last is None or figure.last <= last)
    ]
    if not figures:
        raise InvalidArgumentError(
            f"no figure of include/known_figures.csv is about {', '.join(sources)} in these months: give other ones, "
            f"or leave --source, --from and --to out"
        )
    found = {}
    with published_months(arguments.warehouse, "verify") as warehouse:
        for name in {figure.source: None for figure in figures}:
            months = sorted({month for figure in figures if figure.source == name for month in figure.all_months})
            found[name] = find_months(warehouse, sources[name], months, commands.sample_tests[0])
    checked = check_figures(figures, sources, found)
    show([course.record(each, arguments.warehouse) for each in checked], arguments.output)
    if not any(each.counted for each in checked):
        say(course.nothing_compared(checked, arguments.warehouse))
        return FINDINGS
    return FINDINGS if any(each.result == DIFFERS for each in checked) else FINE


def _sources(name: str | None) -> tuple[Source, ...]:
    if name is None:
        return load_sources(SOURCES_FOLDER)
    names = sorted(path.stem for path in SOURCES_FOLDER.glob("*.yaml"))
    if name not in names:
        raise InvalidArgumentError(f"--source {name}: expected one of {', '.join(names)}")
    return (find_source(SOURCES_FOLDER, name),)
