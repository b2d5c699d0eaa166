"""The benchmark runs, on a few rows: what it writes is looked at, never how long anything took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.budget import BUDGET
from bench.report import FOR_A_WHOLE_RUN, MARKS, NOT_JUDGED
from bench.year import MARKS as YEAR_MARKS
from taxiway.paths import ROOT

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
BEHIND = {
    "steps_to_copy": ("seconds", "steps", "copy"),
    "last_month_to_first": ("seconds", "last_month", "first_month"),
    "course_third_month_to_steps": ("seconds", "course_third_month", "steps"),
    "dlt_merge_to_steps": ("seconds", "dlt_merge", "steps"),
    "pandas_to_steps": ("seconds", "pandas", "steps"),
    "reload_unchanged_to_first": ("seconds", "reload_unchanged", "steps"),
    "reload_corrected_to_first": ("seconds", "reload_corrected", "steps"),
    "rejects_to_none": ("seconds", "steps_with_rejects", "steps_without_rejects"),
    "airflow_to_trivial_dag": ("seconds", "tiny_backfill", "trivial_backfill"),
    "four_at_once_to_one_by_one": ("seconds", "four_at_once", "one_by_one"),
    "download_to_curl": ("seconds", "curl", "transfer"),
    "disk_to_published": ("mib", "beyond_mib", "published_mib"),
}
"""What every ratio is made of, by the names in the results; ``peak_mib`` is a difference."""
LOADED = {"copy", "steps", "course", "course_in_servers_locale", "pandas", "dlt_append", "dlt_merge", "airflow"}


def start(module: str, folder: Path, *options: object) -> subprocess.Popen[str]:
    """Start a command of the benchmark, in a shell whose settings would let commits be lost."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, options), "--folder", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PGOPTIONS": "-c synchronous_commit=off"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Wait until a command prints a line with some words."""
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if words in line:
            return
    raise AssertionError(f"ended without {words!r}: {''.join(printed)[-5000:]}")


def run(module: str, folder: Path, *options: object) -> str:
    """Run a command of the benchmark to its end, and return what it printed."""
    process = start(module, folder, *options)
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
    assert BEHIND.keys() | {"peak_mib"} == MUST.keys()
    for key, ratio in results["ratios"].items():
        assert ratio.keys() == {"median", "min", "max", "must", "aim", "bound", "ok"}, key


def test_every_ratio_is_that_of_what_was_measured(results: dict[str, Any]) -> None:
    """Of one round, so a ratio of medians is the median of the ratios; values are rounded to four digits."""
    for key, (section, measure, to) in BEHIND.items():
        measured, compared = (results[section][name]["median"] for name in (measure, to))
        assert measured > 0 or section == "mib", key
        expected, off = measured / compared, (measured + compared) / compared**2 * 1e-4
        assert results["ratios"][key]["median"] == pytest.approx(expected, abs=off + 1e-4), key
    mib = results["mib"]
    assert results["ratios"]["peak_mib"]["median"] == pytest.approx(
        mib["peak_of_month"]["median"] - mib["peak_of_empty_task"]["median"], abs=1e-3
    )


def test_all_contenders_have_loaded_the_same(results: dict[str, Any]) -> None:
    loaded = results["loaded"]

    assert set(loaded) == LOADED | {"steps_with_rejects", "steps_without_rejects"}
    assert {(loaded[name]["rows"], loaded[name]["total_amount"]) for name in LOADED} == {
        (ROWS, loaded["copy"]["total_amount"])
    }
    assert len({loaded[name]["sums"] for name in LOADED}) == 1
    assert len({contents["ids"] for contents in loaded.values() if "ids" in contents}) == 1
    assert loaded["steps"]["ids"] != 0


def test_the_machine_is_described_and_not_named(results: dict[str, Any]) -> None:
    assert set(results["machine"]) == {"cores", "memory_gib", "cpu", "system", "python", "postgres"}
    assert results["machine"]["postgres"].startswith("18")
    if sys.platform == "linux":
        assert results["course_locale"].lower().replace("-", "") in ("en_us.utf8", "c.utf8")
    assert results["rows"] == ROWS


def test_the_document_gets_the_tables(results: dict[str, Any], document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    for budget in BUDGET:
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {budget.what} |"))
        assert line.endswith(f"| {NOT_JUDGED} |"), "a run that isn't whole is not held against the budget"
    assert "| what | median | must | aim | ok |" in text, "one round has no range"
    assert FOR_A_WHOLE_RUN in text
    assert text.startswith("Before\n")
    assert text.endswith("\nAfter")


def test_nothing_is_left_behind(results: dict[str, Any], disk: Path) -> None:
    assert list(disk.iterdir()) == []


@dataclass(frozen=True)
class Killed:
    """What a run has left that was killed while it loaded."""

    folder: Path
    server: psutil.Process
    airflow: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def killed(disk: Path) -> Iterator[Killed]:
    """A run of the year that was killed after its first month; its server goes on, and a task of its Airflow."""
    with start("bench.year", disk, "--rows", ROWS, "--months", 100) as process:
        try:
            wait_for(process, "2019-02: ")
        finally:
            process.kill()
    (folder,) = disk.iterdir()
    server = psutil.Process(int((folder / ".taxiway" / "postgres" / "postmaster.pid").read_text().split()[0]))
    with subprocess.Popen(["sleep", "600"], env={**os.environ, "AIRFLOW_HOME": str(folder)}) as airflow:
        threading.Thread(target=airflow.wait, daemon=True).start()  # as init does with what is nobody's child
        try:
            yield Killed(folder, server, airflow)
        finally:
            airflow.kill()


def test_the_year_is_loaded_month_by_month_after_a_killed_run(killed: Killed, document: Path, disk: Path) -> None:
    assert killed.server.is_running()

    output = run("bench.year", disk, "--rows", ROWS, "--months", 2, "--document", document)

    table = document.read_text(encoding="utf-8").partition(YEAR_MARKS[0])[2].partition(YEAR_MARKS[1])[0]
    assert f"2 months of {ROWS} rows" in table
    assert "| 2019-02 |" in table
    assert "| 2019-03 |" in table
    assert f"removing {killed.folder}, which a killed run has left" in output
    assert list(disk.iterdir()) == []
    assert not killed.server.is_running()
    assert killed.airflow.wait(LONGEST) == -signal.SIGTERM


def initdb_writes(folder: Path) -> bool:
    return any(folder.glob("bench-*/.taxiway/postgres/base"))


def months_are_made(folder: Path) -> bool:
    return any(folder.glob("bench-*/months/measured/real/yellow/.*.part"))


def month_is_loaded(folder: Path) -> bool:
    return any(folder.glob("bench-*/yellow_tripdata_*.csv.gz"))


@pytest.mark.parametrize(
    ("module", "number", "reached"),
    [
        ("bench", signal.SIGTERM, months_are_made),
        ("bench.year", signal.SIGHUP, initdb_writes),
        ("bench.year", signal.SIGINT, month_is_loaded),
    ],
    ids=["while months are made", "while the server is made", "while a month is loaded"],
)
def test_a_run_that_is_told_to_end_leaves_nothing(
    disk: Path, module: str, number: signal.Signals, reached: Callable[[Path], bool]
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"whoever started these tests lets nobody hear {number.name}")
    with start(module, disk, "--rows", 300_000, "--months", 12) as process:
        try:
            while not reached(disk):
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            os.killpg(process.pid, number)  # as a terminal does
            output, _ = process.communicate(timeout=LONGEST)
        finally:
            process.kill()

    assert process.returncode == 128 + number, output
    assert output.splitlines()[-1] == "Stopped and cleared up: no results were written"
    assert "Traceback" not in output
    assert list(disk.iterdir()) == []
    assert [found for found in psutil.process_iter(["cwd"]) if str(disk) in (found.info["cwd"] or "")] == []
