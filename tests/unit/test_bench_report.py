"""What the benchmark writes into the document, and where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.board import ATTEMPTS, MONTHS, MOST_KB, MOST_MILLISECONDS, MOST_SECONDS, REQUESTS, SOURCES, VISITS
from bench.report import DOCUMENT, MARKS, RESULTS, places, write_between
from bench.scale import SCALES, Scale

BEGIN, END = MARKS["budget"]


def test_the_projects_document_has_a_place_for_each_scale() -> None:
    for name in SCALES:
        begin, end = (DOCUMENT.read_text(encoding="utf-8").index(mark) for mark in MARKS[name])
        assert begin < end


def test_what_is_around_the_marks_stays(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    before = f"Before\n{BEGIN}\nold\n{END}\nAfter"
    path.write_text(before, encoding="utf-8")

    write_between(path, MARKS["budget"])
    assert path.read_text(encoding="utf-8") == before
    write_between(path, MARKS["budget"], r"one \1")

    assert path.read_text(encoding="utf-8") == f"Before\n{BEGIN}\n\none \\1\n\n{END}\nAfter"


@pytest.mark.parametrize("text", ["nothing", f"only {BEGIN}", f"{END} the wrong way round {BEGIN}"])
def test_a_document_without_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "performance.md"
    path.write_text(text, encoding="utf-8")

    for results in (None, "results"):
        with pytest.raises(ValueError, match="expected both around the results"):
            write_between(path, MARKS["budget"], results)
    assert path.read_text(encoding="utf-8") == text


def test_only_a_whole_run_of_the_budget_replaces_the_projects_own_results() -> None:
    folder = Path("folder")
    of_the_run = folder / "benchmark.json"

    assert places(Scale(), folder) == [of_the_run, RESULTS]
    assert places(Scale(rounds=1), folder) == places(SCALES["year"], folder) == [of_the_run]


def test_the_page_has_the_boards_budget_as_it_is_measured() -> None:
    """The figures are those of a run; what they must be, and what is measured, is the benchmark's."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## The board\n")[2]
    section = text.partition("\n## ")[0]
    cells = len(SOURCES) * MONTHS
    assert f"with {cells:,} months each" in section
    assert f"and {2 * cells * ATTEMPTS:,} attempts in both" in section
    assert f"95th percentile of {REQUESTS}, one after another" in section
    assert f"median of {VISITS} visits" in section
    musts = re.findall(r"\| ([0-9.]+ \w+) \|$", section, re.MULTILINE)
    quick = f"{MOST_MILLISECONDS:.0f} ms"
    assert musts == [quick, quick, f"{MOST_KB:.0f} KB", f"{MOST_SECONDS} s"]
