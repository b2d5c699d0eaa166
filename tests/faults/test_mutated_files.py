"""Mutations of a real file by a seeded fuzzer: each loads exactly, or fails with a reason and changes nothing."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import psycopg
import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import download_month
from taxiway.errors import TaxiwayError
from taxiway.loads.row_identity import digest
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect
from tests.faults.aftermath import LEDGER
from tests.faults.file_model import Expected, expect
from tests.faults.mutations import PACKED, TEXT
from tests.loading import (
    begin_load,
    check_month,
    hash_rows,
    merge_month,
    query,
    stage_month,
    staging_tables,
    table_digest,
)
from tests.mirror_faults import FaultyMirror

CASES = 200
SEED = 20
MONTH = Month(2020, 4)
ROWS = 250
REJECTS = "SELECT line_number FROM taxiway.rejected_rows WHERE load_id = (SELECT max(load_id) FROM taxiway.loads)"


@dataclass(frozen=True)
class Mutation:
    """One mutated file.

    :param name: which case, and what was done
    :param packed: the file
    :param share: of rows that may be rejected
    """

    name: str
    packed: bytes
    share: float


def original(source: Source, folder: Path) -> bytes:
    """Rows of the beginning and the end of the real month, which differ; of a sample month in a plain clone."""
    path = ROOT.parent / "shared" / "tlc" / "months" / source.file_path(MONTH)
    if not path.is_file():
        path = folder / source.download_name(MONTH)
        write_sample_month(source, MONTH, path, rows=5_000)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    return b"".join([*lines[: ROWS // 2], *lines[-ROWS // 2 :]])


def mutations(text: bytes) -> list[Mutation]:
    draw, made = Random(SEED), []
    for case in range(CASES):
        share = draw.choice((0.001, 0.05))
        if case % 4 == 3:
            change = PACKED[case // 4 % len(PACKED)]
            made.append(Mutation(f"{case} {change.__name__}", change(draw, gzip.compress(text, mtime=0)), share))
            continue
        changes = [TEXT[case % len(TEXT)], *draw.choices(TEXT[:-1], k=draw.choice((0, 0, 1, 3)))]
        changed = text
        for change in changes:
            changed = change(draw, changed or b"\n")
        names = ", ".join(change.__name__ for change in changes)
        made.append(Mutation(f"{case} {names}", gzip.compress(changed, 1, mtime=0), share))
    return made


def expected_of(source: Source, packed: bytes) -> Expected:
    """Unpack the file at once, and work out what must become of it."""
    text = b""
    while packed:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            text += member.decompress(packed)
        except zlib.error:
            return Expected("InvalidFileError")
        if not member.eof:
            return Expected("InvalidFileError")
        packed = member.unused_data
    return expect(source, MONTH, text) if text else Expected("InvalidFileError")


def load(connection: psycopg.Connection[object], source: Source, mirror: FaultyMirror, cache: Cache, run: str) -> None:
    """Run all steps of a load, the download among them."""
    tables = LoadTables(source, MONTH, run)
    try:
        with requests.Session() as session:
            fetched = begin_load(
                connection, tables, lambda: download_month(session, mirror.url, source, MONTH, cache), force=True
            )
        assert fetched.file is not None
        hash_rows(connection, tables, stage_month(connection, tables, fetched.file))
        check_month(connection, tables)
        merge_month(connection, tables)
    finally:
        drop_staging(connection, tables)


def test_two_hundred_mutations(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    text = original(green, tmp_path)
    cache = Cache(tmp_path / "cache", 10**9)
    outcomes: Counter[str] = Counter()
    with FaultyMirror() as mirror:
        mirror.put(f"/{green.file_path(MONTH)}", gzip.compress(text))
        load(connection, green, mirror, cache, "unchanged")
        before = table_digest(connection, green)
        assert before == digest(expect(green, MONTH, text).ids)
        for mutation in mutations(text):
            source = replace(green, max_rejected_share=mutation.share, max_deleted_share=1.0)
            expected = expected_of(source, mutation.packed)
            mirror.put(f"/{green.file_path(MONTH)}", mutation.packed)
            try:
                load(connection, source, mirror, cache, mutation.name)
                outcome = "loads"
            except TaxiwayError as error:
                outcome = type(error).__name__
                said = str(error)
                assert said.startswith("green 2020-04: "), (mutation.name, said[:500])
                assert len(said) < 2_000, (mutation.name, said[:500])
            after = table_digest(connection, green)
            outcomes[outcome] += 1
            if outcome != "loads":
                assert after == before, mutation.name
                assert outcome in _fitting(expected), (mutation.name, outcome, said, expected.rejects)
                _, state, _, recorded = query(connection, LEDGER)[-1]
                assert (state, said[:200] in recorded) == ("failed", True), (mutation.name, said, recorded)
            else:
                assert expected.outcome == "loads", (mutation.name, expected.outcome, sorted(expected.rejects)[:5])
                assert after == digest(expected.ids), mutation.name
                before = after
            if outcome in ("loads", "RejectLimitError", "CheckFailedError"):
                found = {line for (line,) in query(connection, REJECTS)}
                assert found <= expected.rejects, (mutation.name, found - expected.rejects)
                assert outcome == "RejectLimitError" or found == expected.rejects, mutation.name
            assert staging_tables(connection) == [], mutation.name
    assert sum(outcomes.values()) == CASES
    # The fuzzer has found its way to all of them, and not to the door only.
    assert outcomes["loads"] >= CASES // 4, outcomes
    assert set(outcomes) >= {"InvalidFileError", "HeaderError", "RejectLimitError", "EmptyMonthError"}, outcomes


def _fitting(expected: Expected) -> set[str]:
    """A file that is none, and a header that is none, are told apart by what is seen first."""
    if expected.outcome in ("HeaderError", "InvalidFileError"):
        return {"HeaderError", "InvalidFileError"}
    return {expected.outcome}


@pytest.mark.parametrize("change", [*TEXT, *PACKED], ids=lambda change: change.__name__)
def test_every_mutation_changes_something(change: object, green: Source, tmp_path: Path) -> None:
    text = original(green, tmp_path)
    data = gzip.compress(text) if change in PACKED else text
    assert {change(Random(seed), data) == data for seed in range(20)} >= {False}  # type: ignore[operator]
