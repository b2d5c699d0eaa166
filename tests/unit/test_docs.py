"""What README and docs promise exists: linked files, and the commands of the Makefile."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from taxiway.core.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def targets() -> set[str]:
    """The commands that the Makefile describes, which `make help` lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_the_repository(page: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    folders = {str(parent) for name in tracked for parent in Path(name).parents}
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    linked = [(page.parent / link).resolve().relative_to(ROOT) for link in links if "://" not in link]

    assert [str(path) for path in linked if str(path) not in {*tracked, *folders}] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_make_exist(page: Path) -> None:
    named = re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(named) - targets() == set()


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert {name for name in targets() if f"`make {name}" not in readme and f"\nmake {name}" not in readme} == set()
