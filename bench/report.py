"""Says what came out: results as JSON, and as tables for the terminal and docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.budget import BUDGET, Budget, spread
from bench.contenders import Contenders
from bench.rivals import course_locale
from bench.scale import COURSE_MONTHS, TINY_ROWS, Scale
from taxiway.paths import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"  # what the project says of its figures
RESULTS = ROOT / "bench" / "results.json"  # those of a whole run of the budget
MARKS = {
    "budget": ("<!-- results: written by make bench -->", "<!-- end of results -->"),
    "year": ("<!-- year: written by make bench SCALE=year -->", "<!-- end of year -->"),
}
"""What stands around the tables in ``docs/performance.md``, by the scale's name."""

NOT_JUDGED = "\N{EN DASH}"
FOR_A_WHOLE_RUN = (
    f"The budgets are meant for a whole run, of {Scale().rows:,} rows a month: a smaller one is not held against them, "
    f"and its column ok shows {NOT_JUDGED}. bench/results.json and docs/performance.md keep a whole run's figures."
)
"""What stands below the budget of a run that is smaller than a whole one."""

SECONDS = {
    "copy": "bare COPY of the file: the limit",
    "steps": "Taxiway's steps, file to published month",
    "stage": "of these: stage (of canonical CSV: with its ids)",
    "hash": "of these: hash (of canonical CSV: its unique index, and the search for duplicate rows)",
    "check": "of these: check",
    "merge": "of these: merge",
    "steps_with_rejects": "the steps, with what looks for rows to reject",
    "steps_without_rejects": "the steps, trusting every row",
    "parquet_copy": "bare COPY of the same rows as CSV, before and after the Parquet file",
    "parquet_steps": "the steps of the month as Parquet",
    "fhv_copy": "bare COPY of a month of fhv",
    "fhv_steps": "the steps of a month of fhv",
    "saved_again_steps": "the steps of that month, saved again with quotes and fractions",
    "airflow_month": "the month by `airflow dags backfill`, all included",
    "course_third_month": f"the course's flow, last of its {COURSE_MONTHS} months in a row",
    "dlt_merge": "dlt, delete-insert",
    "pandas": "pandas, `to_sql`",
    "reload_unchanged": "reload of the same bytes",
    "reload_corrected": "reload with 1 % of the rows changed",
    "first_month": "first of many months, the median of three",
    "last_month": "last of many months, the median of three",
    "many_months": "all of the many months",
    "many_client_cpu": "processor time of the steps' process for all of them",
    "many_server_cpu": "processor time of Postgres for all of them",
    "trivial_backfill": "backfill of a DAG of four empty tasks",
    "tiny_backfill": f"backfill of months of {TINY_ROWS} rows",
    "one_by_one": "backfill of months one after another",
    "four_at_once": "backfill of months side by side",
    "curl": "curl",
    "transfer": "Taxiway's download, until the last byte is written",
    "download": "Taxiway's download, verified, on the disk and in its place",
}
"""What is measured in seconds, in the order in which it is shown."""

SIZES = {
    "peak_of_empty_task": "peak memory of an empty task's process",
    "peak_of_100_rows": f"peak memory of a task's process, {TINY_ROWS} rows",
    "peak_of_month": "peak memory of a task's process, whole month",
    "peak_of_parquet": "peak memory of a task's process, Parquet of 3.8 times the rows in one row group",
    "published_mib": "the published month, with its index",
    "beyond_mib": "disk beyond file and table while the month loads",
    "many_published_mib": "the many months, with their indexes",
    "many_wal_mib": "write-ahead log of all of them",
}
"""What is measured in MiB."""


def results(contenders: Contenders, measured: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Put together what goes into ``bench/results.json``; nothing in it names the machine."""
    scale, postgres, cpu = contenders.scale, contenders.postgres, Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)", cpu.read_text() if cpu.exists() else "", re.MULTILINE)
    values = {name: [each[name] for each in measured if name in each] for name in (*SECONDS, *SIZES)}
    return {
        "machine": {
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "cpu": models[0] if models else platform.processor() or platform.machine(),
            "system": platform.system(),
            "python": platform.python_version(),
            "postgres": str(postgres.query("SHOW server_version")[0][0]).split(maxsplit=1)[0],
        },
        "scale": scale.name,
        "whole": scale.is_whole,
        "rows": scale.rows,
        "rounds": min(len(measured), scale.rounds),
        "months_in_one_table": scale.months,
        "months_side_by_side": {"months": scale.side_months, "rows": scale.rows},
        "tiny_months": {"months": scale.tiny_months, "rows": TINY_ROWS},
        "course_locale": course_locale(postgres),
        "ratios": {budget.key: judged for budget in BUDGET if (judged := budget.judge(measured))},
        "seconds": {name: spread(values[name]) for name in SECONDS if values[name]},
        "mib": {name: spread(values[name]) for name in SIZES if values[name]},
        "loaded": contenders.contents["yellow"].found,
    }


def places(scale: Scale, folder: Path) -> list[Path]:
    """Return where the results go; the first place outlives what goes wrong in a later round.

    :param folder: the folder of the run's home
    """
    return [folder / "benchmark.json", *([RESULTS] if scale.is_whole and scale.name == "budget" else [])]


def write_results(found: Mapping[str, Any], path: Path) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_between(path: Path, marks: tuple[str, str], text: str | None = None) -> None:
    """Write a text between two marks of a Markdown file, in place of what stands there.

    :param text: without one the file stays as it is: a look whether it can be written to
    :raises ValueError: the file can't be read or written, or lacks a mark
    """
    pattern = f"({re.escape(marks[0])}).*({re.escape(marks[1])})"
    try:
        before = path.read_text(encoding="utf-8")
        after, found = re.subn(pattern, lambda match: f"{match[1]}\n\n{text}\n\n{match[2]}", before, flags=re.DOTALL)
        if not found:
            raise ValueError(f"{path}: found no {' … '.join(marks)}, expected both around the results")
        path.write_text(before if text is None else after, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}, expected a Markdown file that can be written to") from error


def markdown(found: Mapping[str, Any]) -> str:
    """Return results as Markdown, for the document and for the terminal."""
    machine, side, tiny = found["machine"], found["months_side_by_side"], found["tiny_months"]
    rounds = max((found["rounds"], *(ratio["rounds"] for ratio in found["ratios"].values())))
    compared = (
        f"; side by side: {side['months']}; of {tiny['rows']} rows: {tiny['months']}; "
        f"locale of the course's database: {found['course_locale'] or 'that of the server'}"
    )
    summary = (
        f"Months of {found['rows']:,} rows; rounds: {found['rounds']}, for ratios too close to call up to {rounds}; "
        f"months in one table: {found['months_in_one_table']}{compared if found['scale'] == 'budget' else ''}. "
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB of memory, "
        f"Python {machine['python']}, Postgres {machine['postgres']}."
    )
    budget = [_budget_row(line, found) for line in BUDGET if line.key in found["ratios"]]
    values = [
        (names[name], *_texts(found[section][name], unit))
        for section, unit, names in (("seconds", "s", SECONDS), ("mib", "MiB", SIZES))
        for name in found[section]
    ]
    return "\n\n".join(
        (
            summary,
            _table("what", "median", "range", "must", "aim", "ok", rows=budget),
            *([] if found["whole"] else [FOR_A_WHOLE_RUN]),
            "What lies behind:",
            _table("what", "median", "range", rows=values),
        )
    )


def _table(*headings: str, rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))


def _budget_row(budget: Budget, found: Mapping[str, Any]) -> tuple[str, ...]:
    ratio, sign = found["ratios"][budget.key], "≤" if budget.bound == "at most" else "≥"
    limits = [f"{sign} {value:g} {budget.unit}".rstrip() if value else "" for value in (budget.must, budget.aim)]
    ok = ("yes" if ratio["ok"] else "**no**") + ("" if ratio["settled"] else ", too close to call")
    return budget.what, *_texts(ratio, budget.unit), *limits, ok if found["whole"] else NOT_JUDGED


def _texts(found: Mapping[str, float], unit: str) -> tuple[str, str]:
    median, low, high = (
        f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
        for value in (found[name] for name in ("median", "low", "high"))
    )
    return f"{median} {unit}".rstrip(), f"{low} to {high}"
