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
from bench.report import FOR_A_WHOLE_RUN, MARKS, NOT_JUDGED, SECONDS, SIZES
from taxiway.paths import ROOT
from tests.integration.airflow_environment import PATIENCE
from tests.integration.forked_python import forked_python

ROWS = 300
LONGEST = 900.0
"""Seconds after which the benchmark hangs."""
RIVALS = {"copy", "course", "pandas", "dlt_merge", "parquet_copy"}
LOADED = RIVALS | {"steps", "steps_with_rejects", "steps_without_rejects", "parquet_steps", "airflow"}


def start(folder: Path, *options: object, forked: bool = False) -> subprocess.Popen[str]:
    """Start the benchmark, in a shell whose settings would let commits be lost.

    :param forked: whether it is forked, and so are its backfills: they begin sooner than those that are measured
    """
    arguments = [*map(str, options), "--folder", str(folder)]
    how: dict[str, Any] = {
        "cwd": ROOT,
        "env": {**os.environ, "PGOPTIONS": "-c synchronous_commit=off"},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
    }
    if forked:
        return forked_python().start("bench", *arguments, **how)
    return subprocess.Popen([sys.executable, "-m", "bench", *arguments], text=True, start_new_session=True, **how)


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Wait until the benchmark prints a line with some words."""
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if words in line:
            return
    raise AssertionError(f"ended without {words!r}: {''.join(printed)[-5000:]}")


def homes(folder: Path) -> list[Path]:
    """Return what is left of runs, but for the results."""
    return [path for path in folder.iterdir() if path.name != "benchmark.json"]


def run(folder: Path, *options: object) -> str:
    """Run the benchmark to its end, and return what it printed."""
    process = start(folder, *options, forked=True)
    try:
        output, _ = process.communicate(timeout=PATIENCE * LONGEST)
    except BaseException:
        process.terminate()  # it stops its servers
        process.communicate(timeout=PATIENCE * 120)
        raise
    assert process.returncode == 0, output[-5000:]
    return output


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "performance.md"
    path.write_text("\n".join(["Before", *MARKS["budget"], "Between", *MARKS["year"], "After"]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    # Not below pytest's own folder: the server's user must pass, and every pytest that starts forbids it again.
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="module")
def results(document: Path, disk: Path) -> dict[str, Any]:
    sizes = ("--rows", ROWS, "--months", 3, "--rounds", 1, "--tiny-months", 1, "--side-months", 2, "--transfer-mb", 1)
    run(disk, *sizes, "--document", document)
    found: dict[str, Any] = json.loads((disk / "benchmark.json").read_text(encoding="utf-8"))
    return found


def test_everything_is_measured(results: dict[str, Any]) -> None:
    assert {key: ratio["must"] for key, ratio in results["ratios"].items()} == {line.key: line.must for line in BUDGET}
    assert results["seconds"].keys() == SECONDS.keys()
    assert results["mib"].keys() == SIZES.keys()
    assert all(value["median"] > 0 for value in results["seconds"].values())


def test_every_ratio_is_that_of_what_was_measured(results: dict[str, Any]) -> None:
    """Of one round, so a ratio of medians is the median of the ratios; values are rounded to four digits."""
    values = {name: found["median"] for name, found in {**results["seconds"], **results["mib"]}.items()}
    for line in BUDGET:
        measured, compared = values[line.measure], values[line.to]
        expected, off = measured / compared, (measured + compared) / compared**2 * 1e-4
        if line.unit:
            expected, off = measured - compared, 1e-3
        assert results["ratios"][line.key]["median"] == pytest.approx(expected, abs=off + 1e-4), line.key


def test_all_contenders_have_loaded_the_same(results: dict[str, Any]) -> None:
    loaded = results["loaded"]

    assert set(loaded) == LOADED
    ids = {name: each["ids"] for name, each in loaded.items() if "ids" in each}
    assert ids.keys() == LOADED - RIVALS
    assert len(set(ids.values())) == 1
    assert ids["steps"] != 0
    without_ids = {name: {**each, "ids": None} for name, each in loaded.items()}
    assert without_ids == dict.fromkeys(loaded, without_ids["copy"])
    assert loaded["copy"]["rows"] == ROWS


def test_the_machine_is_described_and_not_named(results: dict[str, Any]) -> None:
    assert set(results["machine"]) == {"cores", "memory_gib", "cpu", "system", "python", "postgres"}
    assert results["machine"]["postgres"].startswith("18")
    if sys.platform == "linux":
        assert results["course_locale"].lower().replace("-", "") in ("en_us.utf8", "c.utf8")
    assert (results["scale"], results["rows"], results["rounds"]) == ("budget", ROWS, 1)


def test_the_document_gets_the_tables(results: dict[str, Any], document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    for budget in BUDGET:
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {budget.what} |"))
        assert line.endswith(f"| {NOT_JUDGED} |"), "a run that isn't whole is not held against the budget"
    for what in (*SECONDS.values(), *SIZES.values()):
        assert f"| {what} |" in text
    assert FOR_A_WHOLE_RUN in text
    assert text.startswith("Before\n")
    assert text.endswith("\nAfter")


def test_nothing_is_left_but_the_results(results: dict[str, Any], disk: Path) -> None:
    assert [path.name for path in disk.iterdir()] == ["benchmark.json"]


@dataclass(frozen=True)
class Killed:
    """What a run has left that was killed while it warmed up."""

    folder: Path
    server: psutil.Process
    others: list[psutil.Process]


@pytest.fixture(scope="module")
def killed(disk: Path) -> Iterator[Killed]:
    """A killed run whose server and its mirror go on, and a task of its Airflow."""
    with start(disk, "--scale", "year", "--rows", ROWS, "--months", 2) as process:
        try:
            wait_for(process, "warming up")
        finally:
            process.kill()
    (folder,) = homes(disk)
    server = psutil.Process(int((folder / ".taxiway" / "postgres" / "postmaster.pid").read_text().split()[0]))
    running = psutil.process_iter(["cmdline"])
    mirrors = [found for found in running if str(folder / "months") in (found.info["cmdline"] or [])]
    assert len(mirrors) == 1
    with subprocess.Popen(["sleep", "600"], env={**os.environ, "AIRFLOW_HOME": str(folder)}) as airflow:
        threading.Thread(target=airflow.wait, daemon=True).start()  # as init does with an orphan
        try:
            yield Killed(folder, server, [*mirrors, psutil.Process(airflow.pid)])
        finally:
            airflow.kill()


def test_the_year_is_a_scale_and_clears_up_after_a_killed_run(killed: Killed, document: Path, disk: Path) -> None:
    assert killed.server.is_running()

    output = run(disk, "--scale", "year", "--rows", ROWS, "--months", 2, "--document", document)

    text = document.read_text(encoding="utf-8").partition(MARKS["year"][0])[2].partition(MARKS["year"][1])[0]
    assert f"Months of {ROWS} rows" in text
    assert "months in one table: 2." in text
    budgets = [budget.key for budget in BUDGET if f"| {budget.what} |" in text]
    assert budgets == ["last_month_to_first", "disk_to_published"]
    assert f"| {SECONDS['many_server_cpu']} |" in text
    assert f"removing {killed.folder}, which a killed run has left" in output
    assert homes(disk) == []
    gone, alive = psutil.wait_procs([killed.server, *killed.others], timeout=PATIENCE * LONGEST)
    assert (len(gone), alive) == (3, [])


def initdb_writes(folder: Path) -> bool:
    return any(folder.glob("bench-*/.taxiway/postgres/base"))


def months_are_made(folder: Path) -> bool:
    return any(folder.glob("bench-*/months/measured/real/yellow/.*.part"))


def month_is_loaded(folder: Path) -> bool:
    return any(folder.glob("bench-*/downloads/**/*.csv.gz"))


@pytest.mark.parametrize(
    ("number", "reached", "rows"),
    [
        (signal.SIGTERM, months_are_made, 300_000),
        (signal.SIGHUP, initdb_writes, 300_000),
        (signal.SIGINT, month_is_loaded, 3_000),
    ],
    ids=["while months are made", "while the server is made", "while months are loaded"],
)
def test_a_run_that_is_told_to_end_leaves_nothing(
    disk: Path, number: signal.Signals, reached: Callable[[Path], bool], rows: int
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored in the shell that started these tests")
    with start(disk, "--scale", "year", "--rows", rows, "--months", 12) as process:
        try:
            while not reached(disk):
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            os.killpg(process.pid, number)  # as a terminal does
            output, _ = process.communicate(timeout=PATIENCE * LONGEST)
        finally:
            process.kill()

    assert process.returncode == 128 + number, output
    assert output.splitlines()[-1] == "Stopped and cleared up: no results were written"
    assert "Traceback" not in output
    assert homes(disk) == []
    assert [found for found in psutil.process_iter(["cwd"]) if str(disk) in (found.info["cwd"] or "")] == []
