"""The format of a file changes neither its rows nor their ids."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.errors import MissingInputError
from taxiway.loads.load import Counts
from taxiway.sources.source import Source
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness


def unpacked(months: Months, rows: list[str], name: str = "unpacked") -> tuple[Source, Path]:
    """Return the source with a release of the format csv, and a file of it."""
    (release,) = months.source.releases
    source = replace(months.source, releases=(replace(release, path="green/green_tripdata_{month}.csv", format="csv"),))
    path = months.folder / name / source.download_name(months.month)
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(months.file(rows, f"{name} before").read_bytes()))
    return source, path


@pytest.mark.parametrize("flag", ["N", '"N"', "\u00e9"], ids=["canonical", "quoted", "not ASCII"])
def test_csv_has_the_ids_of_the_same_rows_in_gzip(harness: Harness, months: Months, flag: str) -> None:
    rows = [row.replace(",N,", f",{flag},") for row in months.rows()]
    source, path = unpacked(months, rows)
    packed, plain = months.run("manual__1"), months.run("manual__2", source=source)
    packed.complete(months.file(rows))
    ids = harness.ids(packed.load)

    assert plain.complete(path) == Counts(0, 0, 6)

    assert harness.ids(plain.load) == ids
    assert months.run("manual__3", source=source).download(path).nothing_to_do is not None


def test_a_line_of_csv_that_is_no_row_is_kept_with_its_number(harness: Harness, months: Months) -> None:
    rows = months.rows()
    source, path = unpacked(months, [rows[0], f"{rows[1]},too many", rows[2].replace(",2,", ",two,"), *rows[3:]])
    run = months.run(source=replace(source, max_rejected_share=0.5))

    assert run.complete(path) == Counts(4, 0, 0)

    assert [row[0] for row in harness.rejects(run.load)] == [3, 4]


def test_csv_that_has_changed_since_its_download_is_not_staged(harness: Harness, months: Months) -> None:
    source, path = unpacked(months, months.rows())
    run = months.run(source=source)
    run.download(path)
    path.write_bytes(path.read_bytes() + months.rows()[0].encode() + b"\n")

    with pytest.raises(MissingInputError):
        run.finish()

    assert harness.ids(run.load) == []
