"""What docs/sources.md and README.md say of the sources is so, and the page's example can be loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import Source, load_source, load_sources

PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SHIPPED = [
    source for source in load_sources(SOURCES_FOLDER) if source.name in ("fhv", "fhvhv", "green", "yellow", "zones")
]
"""A checkout may have more sources, which no page has to name."""


def rows(page: str) -> list[list[str]]:
    """The cells of the first table of a page, without its head."""
    table = re.search(r"^\|.*?(?=\n\n)", page, re.DOTALL | re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def rows_of(source: Source) -> Iterator[list[str]]:
    """The rows that a source has in the page's first table."""
    for release in source.releases:
        last = release is source.releases[-1]
        later = [
            f"`{column.name}` from {column.since} on"
            for column in source.columns
            if column.since is not None and (release.last is None or column.since <= release.last)
        ]
        yield [
            f"`{source.name}`" if release is source.releases[0] else "",
            "one file, of no month" if source.stands_alone else release.months,
            f"`{release.connection}`",
            f"`{release.format}`",
            ", ".join(later) if last else "",
            f"`{source.main_table}`" if release is source.releases[0] else "",
        ]


def test_the_page_has_the_shipped_sources_with_their_releases() -> None:
    assert rows(PAGE) == [row for source in SHIPPED for row in rows_of(source)]


def test_the_readme_says_what_can_be_loaded_from_when_to_when() -> None:
    found = {cells[3]: cells[1:3] for cells in rows((ROOT / "README.md").read_text(encoding="utf-8"))}

    for source in SHIPPED:
        dags = ", ".join(f"`taxi_{source.name}{kind.dag_suffix}`" for kind in WAREHOUSES.values())
        if source.stands_alone:
            months = ["one file, of no month", ""]
        else:
            months = [str(source.first_month), str(source.last_month or "what the TLC has published")]
        assert found[dags] == months, source.name


def document(block: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def test_the_example_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "lime.yaml").write_text(BLOCKS[0])

    lime = load_source(tmp_path / "lime.yaml")

    assert (lime.main_table, lime.publication_lag_days) == ("lime_trips", 10)
    assert BLOCKS[0].startswith((SOURCES_FOLDER / "green.yaml").read_text().partition("\n")[0])


@pytest.mark.parametrize("number", range(1, len(BLOCKS) - 1))
def test_what_the_page_adds_to_the_example_is_right(number: int, tmp_path: Path) -> None:
    """Every block but the first, which is whole, and the last, which is a comment."""
    example, added = document(BLOCKS[0]), document(BLOCKS[number])
    assert set(added) <= {*example, "period", "checks"}
    if added.get("period") == "none":
        example.pop("publication_lag_days")
    (tmp_path / "lime.yaml").write_text(yaml.safe_dump({**example, **added}))

    assert load_source(tmp_path / "lime.yaml").title == added.get("title", example["title"])
