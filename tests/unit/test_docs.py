"""What README and docs promise exists: linked files, the commands of the Makefile, and the messages of errors."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from taxiway.paths import ROOT

TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
OF_OTHERS = (
    "In --require-hashes mode, all requirements must",  # pip
    "THESE PACKAGES DO NOT MATCH THE HASHES",
    "Tunnel connection failed: 407",  # Python's http.client
    'service "preflight" didn\'t complete successfully',  # Docker
    "No such image: ",
)
"""Beginnings of messages on that page that no file of the project has."""

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


def pictures() -> dict[Path, str]:
    """The pictures that the pages show, and what is said of each to those who don't see it."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = [(path, alt) for alt, path in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text)]
        for element in re.findall(r"<picture>.*?</picture>", text, re.DOTALL):
            (alt,) = re.findall(r'<img [^>]*alt="([^"]*)"', element)
            shown += [(path, alt) for path in re.findall(r'\bsrc(?:set)?="([^"]+)"', element)]
        found.update({(page.parent / path).resolve(): alt for path, alt in shown})
    return found


def test_pictures_are_there_small_and_complete() -> None:
    """None needs another file: a reader's browser asks for nothing else."""
    shown = pictures()

    assert {ROOT / "docs" / "pictures" / f"{name}.png" for name in ("board", "board-dark", "grid", "report")} <= set(
        shown
    )
    assert set((ROOT / "docs" / "pictures").iterdir()) <= set(shown)
    assert [path.name for path, alt in shown.items() if len(alt.split()) < 5] == []
    sizes = {path.name: path.stat().st_size for path in shown}
    assert {name: size for name, size in sizes.items() if size > 150_000} == {}
    assert sum(sizes.values()) < 600_000
    for path in shown:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
            continue
        drawn = path.read_text(encoding="utf-8")
        assert drawn.startswith("<svg ")
        assert re.findall(r"(?:href|src)\s*=\s*['\"](?!#)|url\(['\"]?(?!#)|@import|@font-face|<script", drawn) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_make_exist(page: Path) -> None:
    named = re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(named) - targets() == set()


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert {name for name in targets() if f"`make {name}" not in readme and f"\nmake {name}" not in readme} == set()


def test_decisions_have_numbers_of_their_own_and_one_head() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:5] for page in pages] == [f"{number:04d}-" for number in range(1, len(pages) + 1)]
    status = r"- Status: (accepted|superseded by \[\d+\]\(\d{4}-\S+\.md\))"
    for page in pages:
        head = rf"# {int(page.name[:4])}\. .+\n\n- Date: \d{{4}}-\d\d-\d\d\n{status}\n\n"
        assert re.match(head, page.read_text(encoding="utf-8")), page.name


def test_the_changelog_says_what_breaks_first_for_each_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))

    assert next(iter(versions)) == "Unreleased"
    for version, said in versions.items():
        assert version == "Unreleased" or re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", version), version
        assert re.findall(r"^### (.+)", said, re.MULTILINE)[0] == "Breaking changes", version


FROM_KESTRA = """
01_hello_world 02_python 03_getting_started_data_pipeline 04_postgres_taxi 05_postgres_taxi_scheduled 06_gcp_kv
07_gcp_setup 08_gcp_taxi 09_gcp_taxi_scheduled 10_chat_without_rag 11_chat_with_rag ForEach flow task input variable
output label plugin_defaults concurrency trigger disabled backfill task_cache KV_store secret subflow If execution
purge_of_files timezone logs Gantt metrics copilot
"""
"""The flows of the course's orchestration module, and its words."""


def test_the_page_on_extending_lists_every_file_of_the_conformance_suite() -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    _, table = text.split("cover these rules:\n")
    rows = re.findall(r"^\| (`test_.*?`) \|", table, re.MULTILINE)

    listed = [name for row in rows for name in re.findall(r"`(test_\w+\.py)`", row)]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "tests" / "conformance").glob("test_*.py"))


def test_the_page_for_people_from_kestra_has_every_flow_and_word_of_the_course() -> None:
    text = (ROOT / "docs" / "from-kestra.md").read_text(encoding="utf-8")
    first_cells = "\n".join(re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE))
    words = [word.replace("_", " ") if word[0].isalpha() else word for word in FROM_KESTRA.split()]

    assert [word for word in words if not re.search(rf"\b{word}\b", first_cells)] == []


def messages() -> list[str]:
    """The messages that the answers of docs/troubleshooting.md start with."""
    answers = re.findall(r"^- (.*)$", TROUBLESHOOTING.read_text(encoding="utf-8"), re.MULTILINE)
    return [message for answer in answers for message in re.findall(r"`([^`]+)`", re.split(r"`: ", answer)[0] + "`")]


OTHER_TEXTS = [ROOT / "Makefile", ROOT / "bin" / "make-venv", ROOT / "docker-compose.yaml"]
"""What says something to a person, and is no Python."""


def said() -> str:
    """Every text of the program; `…` stands for what an f-string fills in."""
    found = []
    for folder in ("plugins", "docker", "config"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts))
    found += [path.read_text(encoding="utf-8") for path in OTHER_TEXTS]
    return "\n".join(found)


def test_each_answer_starts_with_a_message_and_no_message_has_two() -> None:
    lines = TROUBLESHOOTING.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(("-", "`")) and not re.match(r"- `[^`]+`.*?: \S", line)] == []
    assert len(messages()) > 50
    assert sorted(message for message in set(messages()) if messages().count(message) > 1) == []


@pytest.mark.parametrize("message", messages())
def test_a_message_of_the_troubleshooting_page_is_one_of_the_program(message: str) -> None:
    if message.startswith(OF_OTHERS):
        return
    # What Postgres says follows these two words.
    words = ["Postgres", "says:"] if message.startswith("Postgres says: ") else message.split()
    length = min(4, len(words))
    runs = [" ".join(words[start : start + length]) for start in range(len(words) - length + 1)]
    assert any(run in SAID for run in runs), f"no text of the program has four words in a row of {message!r}"


SAID = said()
