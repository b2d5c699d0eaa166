"""The project's table of figures: what it holds, and how it is compared with what a warehouse holds."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from taxiway.compare.known_figures import (
    BYTES,
    DIFFERS,
    INCOMPLETE,
    NOT_LOADED,
    OTHER_FILES,
    RIGHT,
    ROWS,
    SAMPLES,
    Found,
    KnownFigure,
    check_figures,
    find_months,
    read_figures,
)
from taxiway.loads.published_months import Recorded
from taxiway.paths import FIGURES_FILE, ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month, in_words
from taxiway.sources.source import Source, load_sources

FIGURES = read_figures(FIGURES_FILE)
FIRST, SECOND, THIRD = (Month(2020, number) for number in (1, 2, 3))
SOURCES = {source.name: source for source in load_sources(SOURCES_FOLDER)}


def test_the_questions_of_the_homework_have_the_published_answers() -> None:
    answers = {figure.question: (figure.source, figure.measure, figure.value) for figure in FIGURES if figure.question}

    assert answers == {
        1: ("yellow", BYTES, 134_481_400),
        3: ("yellow", ROWS, 24_648_499),
        4: ("green", ROWS, 1_734_051),
        5: ("yellow", ROWS, 1_925_152),
    }


class Loading:
    """A warehouse into which a load publishes a corrected month while the months are counted."""

    def __init__(self) -> None:
        self.rows = {FIRST: 3, SECOND: 5}
        self.counted: list[list[Month]] = []

    def months(self, source: Source) -> dict[Month, Recorded]:
        return {month: Recorded(str(rows), rows, source.filename(month)) for month, rows in self.rows.items()}

    def count_files(self, source: Source, months: Sequence[Month]) -> dict[Month, dict[str, int]]:
        found = {month: {source.filename(month): self.rows[month]} for month in months if month in self.rows}
        if not self.counted:
            self.rows[SECOND] = 6
        self.counted.append(list(months))
        return found


def test_a_month_that_is_published_meanwhile_is_counted_again() -> None:
    warehouse: Any = Loading()
    found = find_months(warehouse, SOURCES["green"], [FIRST, SECOND, THIRD], lambda *_: False)

    assert warehouse.counted == [[FIRST, SECOND, THIRD], [SECOND]]
    assert {month: (each.value(ROWS), each.recorded and each.recorded.rows) for month, each in found.items()} == {
        FIRST: (3, 3),
        SECOND: (6, 6),
    }


@pytest.mark.parametrize("question", [3, 4])
def test_the_months_of_a_year_add_up_to_its_total(question: int) -> None:
    (total,) = (figure for figure in FIGURES if figure.question == question)
    months = {
        figure.first: figure.value
        for figure in FIGURES
        if figure.question is None and (figure.source, figure.format) == (total.source, total.format)
    }

    assert sum(months[month] for month in total.all_months) == total.value


def test_each_figure_is_there_once_and_is_of_a_source_of_ours() -> None:
    keys = Counter((figure.source, figure.first, figure.last, figure.format, figure.measure) for figure in FIGURES)

    assert max(keys.values()) == 1
    assert {figure.source for figure in FIGURES} <= {source.name for source in SOURCES.values()}
    assert all(figure.value > 0 and figure.origin for figure in FIGURES)


def test_a_figure_names_the_files_as_their_source_does() -> None:
    """Each month from its first figure on has a figure of the release that the source's YAML file gives it."""
    for source in (SOURCES["green"], SOURCES["fhvhv"]):
        names = {figure.filename(month) for figure in FIGURES for month in figure.all_months}
        assert source.filename(Month(2024, 5)) in names
        assert source.filename(max(source.first_month, Month(2020, 1))) in names


def test_the_page_names_the_months_whose_files_have_no_figure() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    table = page.partition("| source | months without a known figure |\n|---|---|\n")[2].partition("\n\n")[0]
    names = {figure.filename(month) for figure in FIGURES if figure.measure == ROWS for month in figure.all_months}
    last = max(figure.last for figure in FIGURES)

    without = {}
    for source in SOURCES.values():
        months = [] if source.stands_alone else figure(source.first_month, 0, last).all_months
        if found := [month for month in months if source.filename(month) not in names]:
            without[f"`{source.name}`"] = in_words(found)

    assert dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)) == {
        **without,
        "every source": f"from {last.next()} on",
        "`zones`": "its file of no month",
    }


def test_the_tlcs_row_counts_are_those_of_its_files(tlc: Path) -> None:
    with (tlc / "official_parquet.csv").open(encoding="utf-8", newline="") as file:
        counted = {(row["source"], row["month"]): int(row["rows"]) for row in csv.DictReader(file)}
    ours = {(figure.source, str(figure.first)): figure.value for figure in FIGURES if figure.format == "parquet"}

    assert ours == {key: rows for key, rows in counted.items() if key[1] >= "2019-01"}


def figure(first: Month, value: int, last: Month | None = None, **more: object) -> KnownFigure:
    made = {"format": "csv", "measure": ROWS, "question": None, "origin": "a test", **more}
    return KnownFigure("green", first, last or first, value=value, **made)  # type: ignore[arg-type]


def loaded(month: Month, rows: int, *, ending: str = "csv", **more: object) -> Found:
    name = f"green_tripdata_{month}.{ending}"
    return Found({name: rows}, Recorded("sha", rows, name, 0, 1000 * rows), **more)  # type: ignore[arg-type]


YEAR = figure(FIRST, 60, THIRD, question=4)
WHOLE = {FIRST: loaded(FIRST, 10), SECOND: loaded(SECOND, 20), THIRD: loaded(THIRD, 30)}


def check(figures: list[KnownFigure], found: dict[Month, Found], **sources: Source) -> list[tuple[str, int | None]]:
    checked = check_figures(figures, sources or SOURCES, {"green": found})
    return [(each.result, each.found) for each in checked]


def test_a_range_is_right_or_differs_only_if_it_is_loaded_whole() -> None:
    assert check([YEAR], WHOLE) == [(RIGHT, 60)]
    assert check([YEAR], {**WHOLE, SECOND: loaded(SECOND, 19)}) == [(DIFFERS, 59)]
    assert check([YEAR], {FIRST: WHOLE[FIRST], THIRD: WHOLE[THIRD]}) == [(INCOMPLETE, 40)]
    assert check([YEAR], {}) == [(NOT_LOADED, None)]


def test_samples_and_other_releases_are_not_compared() -> None:
    sample = loaded(SECOND, 5000, is_sample=True)
    parquet = loaded(SECOND, 21, ending="parquet")

    (of_samples,) = check_figures([YEAR], SOURCES, {"green": {**WHOLE, SECOND: sample}})
    (of_others,) = check_figures([YEAR], SOURCES, {"green": {**WHOLE, SECOND: parquet}})

    assert (of_samples.result, of_samples.samples) == (SAMPLES, [SECOND])
    assert (of_others.result, of_others.others) == (OTHER_FILES, {SECOND: "green_tripdata_2020-02.parquet"})


def test_a_month_that_was_emptied_by_hand_differs() -> None:
    emptied = Found({}, WHOLE[SECOND].recorded)

    assert check([YEAR], {**WHOLE, SECOND: emptied}) == [(DIFFERS, 40)]
    # The size of its file says nothing of a table without its rows.
    assert check([figure(SECOND, 20_000, measure=BYTES, question=1)], {SECOND: emptied}) == [(NOT_LOADED, None)]
    assert check([figure(SECOND, 20_000, measure=BYTES, question=1)], WHOLE) == [(RIGHT, 20_000)]


def test_the_months_of_a_release_are_one_line_and_each_that_differs_another() -> None:
    months = [figure(FIRST, 10), figure(SECOND, 20), figure(THIRD, 30)]

    assert check(months, WHOLE) == [(RIGHT, 60)]
    assert check(months, {FIRST: WHOLE[FIRST]}) == [(RIGHT, 10)]
    assert check(months, {FIRST: WHOLE[FIRST], THIRD: loaded(THIRD, 31)}) == [(DIFFERS, 41), (DIFFERS, 31)]
    assert check(months, {FIRST: loaded(FIRST, 5, is_sample=True)}) == [(SAMPLES, None)]
    assert check(months, {}) == [(NOT_LOADED, None)]


def test_months_are_compared_with_the_figure_of_the_release_that_they_come_from() -> None:
    of_csv, of_parquet = figure(FIRST, 10), figure(FIRST, 11, format="parquet")

    # The YAML file says that the month comes from the mirror: nothing is said of the TLC's file before it is loaded.
    assert check([of_csv, of_parquet], {}) == [(NOT_LOADED, None)]
    assert check([of_csv, of_parquet], WHOLE) == [(RIGHT, 10)]
    assert check([of_csv, of_parquet], {FIRST: loaded(FIRST, 11, ending="parquet")}) == [(RIGHT, 11)]
    assert check([of_csv, of_parquet], {FIRST: loaded(FIRST, 10, ending="parquet")}) == [(DIFFERS, 10), (DIFFERS, 10)]


def test_figures_of_a_source_that_is_not_there_are_left_out() -> None:
    assert check([YEAR], WHOLE, yellow=SOURCES["yellow"]) == []
