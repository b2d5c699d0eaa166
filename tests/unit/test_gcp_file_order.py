"""Which of two files of a month is the later one, by the ledger of BigQuery."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from taxiway.errors import SupersededError
from taxiway.loads.attempts import Attempt
from taxiway.warehouses.bigquery.file_order import is_later, require_latest
from taxiway.warehouses.bigquery.ledger import Entry
from tests.sql.bigquery_rendered import TABLES

ENTRY = Entry(
    load_id="",
    load_number=1,
    publication=None,
    run_id="manual__1",
    number=1,
    fetched_load_id="",
    step="download_month",
    state="running",
    started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
)


def entry(load_id: str, number: int, state: str = "running", **columns: Any) -> Entry:
    return replace(ENTRY, load_id=load_id, load_number=number, state=state, **{"fetched_load_id": load_id, **columns})


def attempt(load_id: str, sha256: str) -> Attempt:
    return Attempt(load_id, load_id, 1, "download_month", "running", sha256=sha256)


def test_an_attempt_that_found_its_file_published_has_fetched_it() -> None:
    entries = [
        entry("a", 1, "published", sha256="A", publication=1),
        entry("b", 2),
        entry("c", 3, "unchanged", sha256="A"),
    ]

    with pytest.raises(SupersededError, match=r"another file \(SHA-256 A\)"):
        require_latest(TABLES, attempt("b", "B"), entries)
    assert require_latest(TABLES, attempt("b", "A"), entries)[0] == 2
    # What was found published before another file was, counts no more.
    entries += [entry("d", 4, "published", sha256="D", publication=2, fetched_load_id="b")]
    assert require_latest(TABLES, attempt("c", "C"), entries)[0] == 3


def test_of_two_attempts_with_one_number_one_is_the_later_one() -> None:
    entries = [entry("a", 1), entry("b", 1)]

    assert is_later(attempt("a", "A"), "b", entries) != is_later(attempt("b", "B"), "a", entries)
    assert not is_later(attempt("a", "A"), "a", entries)
    assert not is_later(attempt("a", "A"), "unknown", entries)
