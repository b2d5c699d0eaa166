"""What the benchmark writes into the document, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report import LATEST, MARKS, RESULTS, require_marks, write_between, written_words
from bench.scale import Scale


def test_what_stands_around_the_marks_stays(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"Before\n{MARKS[0]}\nold\n{MARKS[1]}\nAfter", encoding="utf-8")

    require_marks(path, MARKS)
    write_between(path, MARKS, ["one", "two"])

    assert path.read_text(encoding="utf-8") == f"Before\n{MARKS[0]}\n\none\n\ntwo\n\n{MARKS[1]}\nAfter"


@pytest.mark.parametrize("text", ["nothing", f"only {MARKS[0]}", f"{MARKS[1]} the wrong way round {MARKS[0]}"])
def test_a_document_without_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "performance.md"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match="expected both around the results"):
        require_marks(path, MARKS)
    with pytest.raises(ValueError, match="expected both around the results"):
        write_between(path, MARKS, ["results"])
    assert path.read_text(encoding="utf-8") == text


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.md: No such file"):
        require_marks(tmp_path / "absent.md", MARKS)


def test_a_smaller_run_says_whose_results_it_leaves() -> None:
    assert written_words(Scale(rounds=1), [LATEST], None) == (
        f"Written: {LATEST}; bench/results.json and docs/performance.md stay as they are: they are for a whole run"
    )
    assert written_words(Scale(), [LATEST, RESULTS], None) == f"Written: {LATEST}, {RESULTS}"
