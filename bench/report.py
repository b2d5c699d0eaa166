"""Says what came out: a table on the terminal, bench/results.json, and the table of docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.budget import BESIDE, BUDGET, Beside, Budget
from bench.rounds import Spread, sum_up
from bench.scale import COURSE_MONTHS, TINY_ROWS, Scale
from taxiway.paths import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
"""What the project says of its figures."""

RESULTS = ROOT / "bench" / "results.json"
"""The project's own results, those of a whole run."""

LATEST = ROOT / ".taxiway" / "benchmark.json"
"""Where any run leaves its results, after each round: they outlive what goes wrong in the next one."""

MARKS = ("<!-- results: written by make bench -->", "<!-- end of results -->")
"""What stands around the tables in ``docs/performance.md``."""

BUDGET_HEADINGS = ("what", "median", "range", "must", "aim", "ok")
HEADINGS = ("what", "median", "range")
NOT_JUDGED = "\N{EN DASH}"
FOR_A_WHOLE_RUN = (
    f"The budgets are meant for a whole run, of {Scale().rows:,} rows a month: a smaller one is not held against them, "
    f"and its column ok shows {NOT_JUDGED}."
)
"""What stands below the budget of a run that is smaller than a whole one."""

SECONDS = {
    "copy": "bare COPY of the file: the limit",
    "steps": "Taxiway's steps, file to published month",
    "stage": "of these: stage (of a plain file: with its ids)",
    "hash": "of these: hash (of a plain file: its unique index, and the search for rows that repeat)",
    "check": "of these: check",
    "merge": "of these: merge",
    "steps_with_rejects": "the steps, with what looks for rows to reject",
    "steps_without_rejects": "the steps, trusting every row",
    "steps_with_repeats": "the steps, where a few rows stand twice",
    "airflow_month": "the month by `airflow dags backfill`, all included",
    "course_first_month": "the course's flow, first month",
    "course_third_month": f"the course's flow, last of its {COURSE_MONTHS} months in a row",
    "course_in_servers_locale": "the course's flow, last of its months, in the server's own locale",
    "dlt_append": "dlt, append",
    "dlt_merge": "dlt, delete-insert",
    "pandas": "pandas, `to_sql`",
    "reload_unchanged": "reload of the same bytes",
    "reload_corrected": "reload with 1 % of the rows changed",
    "first_month": "first of many months",
    "last_month": "last of many months",
    "trivial_backfill": "backfill of a DAG of four empty tasks",
    "tiny_backfill": f"backfill of months of {TINY_ROWS} rows",
    "one_by_one": "backfill of months one after another",
    "four_at_once": "backfill of months side by side",
    "small_one_by_one": "backfill of months of a quarter of the rows, one after another",
    "small_at_once": "backfill of months of a quarter of the rows, side by side",
    "steps_one_by_one": "months one after another, by the steps alone",
    "steps_at_once": "months side by side, by the steps alone",
    "curl": "curl",
    "curl_and_test": "curl, then gzip --test",
    "transfer": "Taxiway's download, until the last byte is written",
    "download": "Taxiway's download, verified, on the disk and in its place",
}
"""What is measured in seconds, in the order in which it is shown."""

SIZES = {
    "peak_of_empty_task": "peak memory of an empty task's process",
    "peak_of_100_rows": f"peak memory of a task's process, {TINY_ROWS} rows",
    "peak_of_month": "peak memory of a task's process, whole month",
    "published_mib": "the published month, with its index",
    "beyond_mib": "disk beyond file and table while the month loads",
    "wal_mib": "write-ahead log of a month",
}
"""What is measured in MiB."""


def results(
    scale: Scale,
    machine: Mapping[str, object],
    course_locale: str | None,
    measured: Sequence[Mapping[str, float]],
    loaded: Mapping[str, Mapping[str, object]],
) -> dict[str, Any]:
    """Put together what goes into ``bench/results.json``.

    :param machine: what it was measured on
    :param course_locale: of the C library, by which the course's database sorts; None for the server's own
    :param measured: what each round measured
    :param loaded: what the contenders' tables held
    """
    spreads = sum_up(measured)
    return {
        "machine": dict(machine),
        "whole": scale.is_whole,
        "rows": scale.rows,
        "rounds": len(measured),
        "months_in_one_table": scale.months,
        "months_side_by_side": {"months": scale.side_months, "rows": scale.rows, "small_rows": scale.small_rows},
        "tiny_months": {"months": scale.tiny_months, "rows": TINY_ROWS},
        "course_locale": course_locale,
        "ratios": {budget.key: _judged(budget, measured) for budget in BUDGET},
        "beside": {beside.key: _rounded(_spread(beside, measured)) for beside in BESIDE},
        "seconds": {name: _rounded(spreads[name]) for name in SECONDS},
        "mib": {name: _rounded(spreads[name]) for name in SIZES},
        "loaded": {name: dict(contents) for name, contents in loaded.items()},
    }


def _spread(compared: Budget | Beside, measured: Sequence[Mapping[str, float]]) -> Spread:
    return Spread.of([compared.ratio(measures) for measures in measured])


def _judged(budget: Budget, measured: Sequence[Mapping[str, float]]) -> dict[str, object]:
    spread = _spread(budget, measured)
    return {
        **_rounded(spread),
        "must": budget.must,
        "aim": budget.aim,
        "bound": budget.bound,
        "ok": budget.holds(spread.median),
    }


def _rounded(spread: Spread) -> dict[str, float]:
    return {"median": round(spread.median, 4), "min": round(spread.least, 4), "max": round(spread.most, 4)}


def places(scale: Scale, asked: Path | None) -> list[Path]:
    """Return where the results go, the first of them after each round already.

    A run that is smaller than a whole one leaves the project's own results as they are.

    :param asked: the only place, where one is given
    """
    if asked is not None:
        return [asked]
    return [LATEST, RESULTS] if scale.is_whole else [LATEST]


def write_results(found: Mapping[str, Any], path: Path) -> None:
    """Write the results as JSON.

    :param path: such as ``bench/results.json``
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print the budget's table, and the seconds behind it."""
    titles = ("Budget: ratios, but where a unit stands", _scale_words(found))
    for title, (headings, *rows) in zip(titles, _tables(found), strict=True):
        table = Table(*headings, title=title)
        for row in rows:
            table.add_row(*(cell.replace("**", "").replace("`", "") for cell in row))
        console.print(table)
    if not found["whole"]:
        console.print(FOR_A_WHOLE_RUN, markup=False, soft_wrap=True)


def written_words(scale: Scale, places: Sequence[Path], document: Path | None) -> str:
    """Say where the results are, and what of the project's own is not replaced by those of a smaller run.

    :param places: where the results went
    :param document: where the tables went
    """
    written = [*places, *([document] if document is not None else [])]
    words = f"Written: {', '.join(map(str, written))}"
    kept = [str(path.relative_to(ROOT)) for path in (RESULTS, DOCUMENT) if path not in written]
    if not scale.is_whole and kept:
        words += f"; {' and '.join(kept)} stay as they are: they are for a whole run"
    return words


def write_document(found: Mapping[str, Any], path: Path) -> None:
    """Write the tables into a Markdown file.

    :param path: a file with :data:`MARKS`
    """
    budget, values = (markdown(headings, rows) for headings, *rows in _tables(found))
    parts = [
        f"{_scale_words(found)}. {machine_words(found['machine'])}.",
        budget,
        *([] if found["whole"] else [FOR_A_WHOLE_RUN]),
        "What lies behind:",
        values,
    ]
    write_between(path, MARKS, parts)


def write_between(path: Path, marks: tuple[str, str], parts: Sequence[str]) -> None:
    """Write paragraphs between two marks of a Markdown file, in the place of what stands there.

    :raises ValueError: the file lacks a mark
    """
    before, after = _around(path, marks)
    path.write_text("\n\n".join([before, *parts, after]), encoding="utf-8")


def require_marks(path: Path, marks: tuple[str, str]) -> None:
    """Make sure, before anything is measured, that the results can be written into a Markdown file.

    :raises ValueError: the file can't be read, or lacks a mark
    """
    try:
        _around(path, marks)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}, expected a Markdown file with {' … '.join(marks)}") from error


def _around(path: Path, marks: tuple[str, str]) -> tuple[str, str]:
    """Return what stands before and after the place between two marks, the marks included."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"{path}: found no {' … '.join(marks)}, expected both around the results")
    return before + begin, end + after


def machine_words(machine: Mapping[str, object]) -> str:
    """Return the machine in words."""
    return (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB of memory, "
        f"Python {machine['python']}, Postgres {machine['postgres']}"
    )


def _tables(found: Mapping[str, Any]) -> list[list[tuple[str, ...]]]:
    """Return the lines of both tables, headings first; one round has no range."""
    tables = [[BUDGET_HEADINGS, *budget_rows(found)], [HEADINGS, *value_rows(found)]]
    if found["rounds"] > 1:
        return tables
    column = HEADINGS.index("range")
    return [[(*line[:column], *line[column + 1 :]) for line in table] for table in tables]


def budget_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the budget line by line, as texts."""
    rows: list[tuple[str, ...]] = []
    for budget in BUDGET:
        ratio = found["ratios"][budget.key]
        must, aim = (_limit(budget, value) for value in (budget.must, budget.aim))
        ok = NOT_JUDGED if not found["whole"] else "yes" if ratio["ok"] else "**no**"
        rows.append((budget.what, *_texts(ratio, budget.unit), must, aim, ok))
    return rows


def _limit(budget: Budget, value: float | None) -> str:
    if value is None:
        return ""
    return f"{'≤' if budget.bound == 'at most' else '≥'} {value:g} {budget.unit}".rstrip()


def value_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return what was measured line by line, as texts."""
    ratios = {beside.key: beside.what for beside in BESIDE}
    return [
        (what, *_texts(found[section][name], unit))
        for section, unit, names in (("seconds", "s", SECONDS), ("mib", "MiB", SIZES), ("beside", "", ratios))
        for name, what in names.items()
    ]


def _texts(spread: Mapping[str, float], unit: str) -> tuple[str, str]:
    median, least, most = (_text(spread[name]) for name in ("median", "min", "max"))
    return f"{median} {unit}".rstrip(), f"{least} to {most}"


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _scale_words(found: Mapping[str, Any]) -> str:
    side, tiny = found["months_side_by_side"], found["tiny_months"]
    return (
        f"Months of {found['rows']:,} rows, {_count(found['rounds'], 'round')}; "
        f"{_count(found['months_in_one_table'], 'month')} in one table; "
        f"{_count(side['months'], 'month')} side by side, of {side['rows']:,} and of {side['small_rows']:,} rows; "
        f"{_count(tiny['months'], 'month')} of {tiny['rows']} rows; "
        f"the course's database in {_locale_words(found['course_locale'])}"
    )


def _locale_words(locale: str | None) -> str:
    return f"the locale {locale}" if locale else "the server's own locale"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
