"""The benchmark runs, on a few rows: what it writes is looked at, never how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.budget import BUDGET
from bench.report import MARKS
from bench.year import MARKS as YEAR_MARKS
from taxiway.core.paths import ROOT

ROWS = 300
LONGEST = 900.0
"""Seconds after which the benchmark hangs."""
MUST = {
    "steps_to_copy": 2.2,
    "last_month_to_first": 1.10,
    "course_third_month_to_steps": 3.5,
    "dlt_merge_to_steps": 5,
    "pandas_to_steps": 20,
    "reload_unchanged_to_first": 0.05,
    "reload_corrected_to_first": 1.3,
    "rejects_to_none": 1.05,
    "airflow_to_trivial_dag": 1.5,
    "four_at_once_to_one_by_one": 0.75,
    "download_to_curl": 0.8,
    "peak_mib": 64,
    "disk_to_published": 1.2,
}
LOADED = {"copy", "steps", "course", "pandas", "dlt_append", "dlt_merge", "airflow"}


def run(module: str, folder: Path, *options: object) -> str:
    """Run a command of the benchmark to its end, and return what it printed."""
    command = [sys.executable, "-m", module, *map(str, options), "--folder", str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=LONGEST)
    except BaseException:
        process.terminate()  # it stops its servers
        process.communicate(timeout=120)
        raise
    assert process.returncode == 0, output[-5000:]
    return output


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "performance.md"
    path.write_text("\n".join(["Before", *MARKS, "Between", *YEAR_MARKS, "After"]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    # Not below pytest's own folder: the server's user must pass, and every pytest that starts forbids it again.
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def results(document: Path, disk: Path) -> dict[str, Any]:
    path = document.with_name("results.json")
    run(
        "bench",
        disk,
        *("--rows", ROWS, "--months", 3, "--rounds", 1, "--tiny-months", 1, "--side-months", 2, "--transfer-mb", 1),
        *("--results", path, "--document", document),
    )
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_every_line_of_the_budget_is_measured(results: dict[str, Any]) -> None:
    assert {budget.key: budget.must for budget in BUDGET} == MUST
    assert {key: ratio["must"] for key, ratio in results["ratios"].items()} == MUST
    for ratio in results["ratios"].values():
        assert ratio["min"] <= ratio["median"] <= ratio["max"]


def test_all_contenders_have_loaded_the_same(results: dict[str, Any]) -> None:
    loaded = results["loaded"]

    assert set(loaded) == LOADED | {"steps_without_rejects"}
    assert {(loaded[name]["rows"], loaded[name]["total_amount"]) for name in LOADED} == {
        (ROWS, loaded["copy"]["total_amount"])
    }
    assert loaded["airflow"]["ids"] == loaded["steps"]["ids"] == loaded["steps_without_rejects"]["ids"] != 0


def test_the_machine_is_described_and_not_named(results: dict[str, Any]) -> None:
    assert set(results["machine"]) == {"cores", "memory_gib", "cpu", "system", "python", "postgres"}
    assert results["machine"]["postgres"].startswith("18")
    assert results["rows"] == ROWS


def test_the_document_gets_the_tables(results: dict[str, Any], document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    for budget in BUDGET:
        assert f"| {budget.what} |" in text
    assert text.startswith("Before\n")
    assert text.endswith("\nAfter")


def test_nothing_is_left_behind(results: dict[str, Any], disk: Path) -> None:
    assert list(disk.iterdir()) == []


def test_the_year_is_loaded_month_by_month(document: Path, disk: Path) -> None:
    run("bench.year", disk, "--rows", ROWS, "--months", 2, "--document", document)

    table = document.read_text(encoding="utf-8").partition(YEAR_MARKS[0])[2].partition(YEAR_MARKS[1])[0]
    assert f"2 months of {ROWS} rows" in table
    assert "| 2019-02 |" in table
    assert "| 2019-03 |" in table
    assert list(disk.iterdir()) == []
