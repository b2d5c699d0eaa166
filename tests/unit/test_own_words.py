"""One word for one thing, in code, SQL and pages: a word that was given up doesn't come back."""

from __future__ import annotations

import re

from taxiway.paths import ROOT

GIVEN_UP = {
    "canonical CSV": r"plain[ _](rows?|files?|csv)\b|(written|writes?) plainly",
    "retry, transient error": r"is_passing|\bpassing_|passing (errors?|faults?|reasons?)|busy_?errors?|\.busy\b",
    "superseded": r"overt[ao]k|precedence",
    "duplicate rows": r"st[ao]nds? twice|stood twice|repeated[ _]rows|\brepeats\b(?=[^.]*\brows\b)",
    "record in the ledger": r"lets? go of|enter(s|ed|ing)?( it| that)? in the ledger|write (it )?down in the ledger",
    "bucket": r"\blakes?\b",
    "MissingInputError": r"staging_?missing",
}
"""What is said today, and what isn't any more."""


def texts() -> dict[str, str]:
    """Every text that a user or a reader of the code meets; CHANGELOG.md has the words of its time."""
    others = {"tests", "CHANGELOG.md", "logs", "reports", "mended"}  # the last three are what Taxiway writes
    hidden = {".ci", ".dockerignore", ".editorconfig", ".gitignore", ".sqlfluff"}
    tops = [path for path in ROOT.iterdir() if path.name in hidden or path.name[0] != "."]
    kinds = {".py", ".sql", ".md", ".html", ".js", ".yaml", ""}
    paths = (path for top in tops if top.name not in others for path in (top, *top.rglob("*")))
    files = [path for path in paths if path.suffix in kinds and path.is_file()]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}


def test_no_word_is_used_that_was_given_up() -> None:
    found = [
        f"{name}: {match[0]!r}: say {word}"
        for name, text in texts().items()
        for word, given_up in GIVEN_UP.items()
        for match in re.finditer(given_up, text, re.IGNORECASE)
    ]
    assert found == []


def test_the_course_is_named_in_full_where_a_page_speaks_of_it_first() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        _, *lines = page.read_text(encoding="utf-8").splitlines()  # without the title
        first = next((line for line in lines if re.search(r"\bthe course\b", line, re.IGNORECASE)), "Zoomcamp")
        before = "\n".join(lines).partition(first)[0]
        assert "Zoomcamp" in before + first, page.name


def test_the_glossary_has_the_words_that_a_newcomer_needs() -> None:
    words = re.findall(r"^\| ([^|]+) \| ", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert len(words[1:]) >= 10
