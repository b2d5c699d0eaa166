"""Lines that BigQuery is not given, or can't read: all are counted, many are kept, however long they are."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.errors import RejectLimitError
from taxiway.loads.month import check_month
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.loading import lines_of

ROWS = 60
MOST_KEPT = 600
"""In place of many more, which take as many seconds."""
MONTH = "2019-01"
KEPT = "SELECT COUNT(*), COUNT(DISTINCT line_number), MAX(LENGTH(raw_line)) FROM `$taxi.rejected_rows`"


@pytest.fixture
def cloud(bigquery: StandIn, cloud_storage: CloudStorage) -> Cloud:
    return Cloud.connect().set_up()


@pytest.fixture
def tolerant(green: Source) -> Source:
    return replace(green, max_rejected_share=1.0)


@pytest.fixture
def lines(tmp_path: Path, green: Source) -> list[str]:
    path = tmp_path / "sample" / green.download_name(Month.parse(MONTH))
    write_sample_month(green, Month.parse(MONTH), path, rows=ROWS)
    return lines_of(path)


def written(folder: Path, source: Source, lines: list[bytes]) -> Path:
    path = folder / source.download_name(Month.parse(MONTH))
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 1))
    return path


BAD: dict[str, Callable[[str, int], str]] = {
    "lines": lambda line, number: f"{number},{line}",
    "fields": lambda line, number: f"x{number},{line.partition(',')[2]}",
    "both": lambda line, number: BAD["lines" if number % 2 else "fields"](line, number),
}


@pytest.mark.parametrize("kind", BAD)
def test_more_lines_than_are_kept_are_counted_all_the_same(
    kind: str, cloud: Cloud, tolerant: Source, tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("files", "warehouses.bigquery"):
        monkeypatch.setattr(f"taxiway.{module}.rejects.MOST_KEPT", MOST_KEPT)
    many = MOST_KEPT + 5
    bad = [BAD[kind](lines[1], number) for number in range(many)]
    path = written(tmp_path, tolerant, [line.encode() for line in [*lines, *bad]])

    assert cloud.load(tolerant, MONTH, path).inserted == ROWS

    (entry,) = cloud.loads(tolerant, MONTH)
    assert (entry.rows_read, entry.rows_rejected, entry.rows_staged) == (ROWS + many, many, ROWS)
    assert cloud.query(KEPT)[0][:2] == (MOST_KEPT, MOST_KEPT)


def test_long_lines_go_in_requests_that_bigquery_takes(
    cloud: Cloud, bigquery: StandIn, tolerant: Source, tmp_path: Path, lines: list[str]
) -> None:
    """A byte that is no UTF-8 takes five in a request: these lines are 12 MB there, and one holds 10."""
    path = written(tmp_path, tolerant, [*(line.encode() for line in lines), *[b"\xff" * 10_000] * 240])

    assert cloud.load(tolerant, MONTH, path).inserted == ROWS

    assert cloud.query(KEPT) == [(240, 240, 40_000)]


def test_the_limit_is_found_again_before_the_month_is_published(
    cloud: Cloud, tolerant: Source, green: Source, tmp_path: Path, lines: list[str]
) -> None:
    """A worker may be lost between the commit of the rejects and the error."""
    path = written(tmp_path, tolerant, [line.encode() for line in [*lines, "1,2,3"]])
    tables = cloud.tables(tolerant, MONTH)
    cloud.hash(tables, cloud.stage(tables, cloud.upload(tables, cloud.begin(tables, path))))

    with pytest.raises(RejectLimitError, match=f"1 of {ROWS + 1} rows can't be read") as caught:
        check_month(cloud.opened(replace(tables, source=green)))

    advised = re.search(
        r"lines: airflow taxi rejects green (\S+) --warehouse bigquery\. If .* set 'max_rejected_share: ([\d.]+)' in "
        r"that file, and clear the task upload_month with its downstream tasks",
        str(caught.value),
    )
    assert advised is not None
    found = BigQueryMonths(cloud.jobs()).rejected(green, Month.parse(advised[1]))
    assert found is not None
    assert [line.raw_line for line in found.lines] == ["1,2,3"]
    check_month(cloud.opened(replace(tables, source=replace(green, max_rejected_share=float(advised[2])))))


def test_what_is_published_has_its_rejects_whatever_was_tried_again(
    cloud: Cloud, tolerant: Source, tmp_path: Path, lines: list[str]
) -> None:
    """One line is rejected before the upload, one behind staging; then the month is published at the second try."""
    bad = [BAD["both"](lines[1], number) for number in range(2)]
    path = written(tmp_path, tolerant, [line.encode() for line in [*lines, *bad]])
    tables = cloud.tables(tolerant, MONTH)
    outputs = cloud.ready(tables, path)
    ledger.record(cloud.jobs(), tables, cloud.attempt(tables), "merge_month", "failed", error="a quota")
    cloud.check(tables, outputs)  # cleared from the staging on: that rejects what it had rejected before

    cloud.publish(tables)

    found = cloud.query(
        "SELECT attempt, state, rows_rejected, COUNT(DISTINCT line_number) FROM `$taxi.loads` "
        "JOIN `$taxi.rejected_rows` USING (load_id) GROUP BY attempt, state, rows_rejected ORDER BY attempt"
    )
    assert found == [(1, "failed", 2, 2), (2, "published", 2, 2)]
