"""What is not published: files and rows that can't be read, a month that doesn't balance, one that fails a check."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from taxiway.errors import (
    BalanceError,
    CheckFailedError,
    DestructiveCorrectionError,
    FileTooLargeError,
    HeaderError,
    InvalidFileError,
    MainTableError,
    MissingInputError,
    RejectLimitError,
    TaxiwayError,
)
from taxiway.files.rejects import Reject
from taxiway.loads.deletions import ACCEPTING_CONF, Answer, Deletions, ToApprove
from taxiway.loads.load import Counts
from taxiway.loads.step_names import CHECK, HASH, PUBLISH, STAGE
from taxiway.loads.steps import Step, before_publishing
from taxiway.loads.warehouse import Warehouse
from taxiway.sources.checks import MEASURES, Check
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness
from tests.conformance.run import Run
from tests.loading import lines_of, specified_ids

A_TIME = "expected a time as YYYY-MM-DD HH:MM:SS"
BAD_ROWS = (
    ("{day} 08:30:00,N,1,far", "fare_amount is 'far', expected a decimal number"),
    ("{day} 08:30:00,N,1,NaN", "fare_amount is 'NaN', expected a decimal number"),
    ("{day} 08:30:00,N,1,Infinity", "fare_amount is 'Infinity', expected a decimal number"),
    ("{day} 08:30:00,N,1,0x1A", "fare_amount is '0x1A', expected a decimal number"),
    ("{day} 08:30:00,N,1.5,1", "PULocationID is '1.5', expected a whole number"),
    ("{day} 08:30:00,N,4200000000,1", "PULocationID is '4200000000', expected a whole number between"),
    ("2019-02-30 08:30:00,N,1,1", f"lpep_pickup_datetime is '2019-02-30 08:30:00', {A_TIME}"),
    ("12019-01-05 08:30:00,N,1,1", f"lpep_pickup_datetime is '12019-01-05 08:30:00', {A_TIME}"),
    ("20190105,N,1,1", f"lpep_pickup_datetime is '20190105', {A_TIME}"),
    ("1/5/2019 0:44,N,1,1", f"lpep_pickup_datetime is '1/5/2019 0:44', {A_TIME}"),
    ("today,N,1,1", f"lpep_pickup_datetime is 'today', {A_TIME}"),
    ("{day} 24:00:00,N,1,1", A_TIME),
    ("{day} 08:30:00+05,N,1,1", A_TIME),
    ("{day} 08:30:00,\\N,1,1", "store_and_fwd_flag is '\\\\N', expected neither"),
    ("{day} 08:30:00,x\x1fy,1,1", "store_and_fwd_flag is 'x\\x1fy', expected neither"),
    ("1,2", "2 fields, expected 4"),
    ("{day} 08:30:00,N,1,1,1", "5 fields, expected 4"),
    ("{day} 08:30:00,\0,1,1", "a NUL at byte"),
    ("{day} 08:30:00,\udcff,1,1", "not UTF-8: byte 0xff"),
    ('{day} 08:30:00,"N,1,1', "a quotation mark that isn't closed in its line"),
)
"""Rows that can't be read, each with its reason."""


def test_rows_that_cannot_be_read_are_kept_and_the_others_load(
    harness: Harness, months: Months, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty line isn't a row. How many are left out is said once, with the command that shows the lines."""
    bad = [row.format(day=months.month.first_day).encode("utf-8", "surrogateescape") for row, _ in BAD_ROWS]
    good, many = months.file(months.rows(len(bad)), "good"), len(bad)
    header, *rows = lines_of(good)
    pairs = [line for row, line in zip(rows, bad, strict=True) for line in (row.encode(), line)]
    file = months.file([])
    file.write_bytes(gzip.compress(b"\n".join([header.encode(), b"", *pairs, b""])))
    run = months.run(source=replace(months.source, max_rejected_share=0.5))

    assert run.complete(file) == Counts(many, 0, 0)

    assert harness.ids(run.load) == sorted(specified_ids(months.source, good))
    kept = harness.rejects(run.load)
    assert [number for number, _, _ in kept] == [4 + 2 * place for place in range(many)]
    assert [line for _, line, _ in kept] == [Reject(0, line, "").printable_line for line in bad]
    assert [row for (_, _, said), (row, reason) in zip(kept, BAD_ROWS, strict=True) if reason not in said] == []
    (entry,) = harness.attempts(run.load)
    assert entry.counts == (2 * many, many, many)
    (said,) = [message for message in caplog.messages if "can't be read, and are left out" in message]
    assert said.startswith(f"{run.load.where}: {run.load.filename}: {many} of {2 * many} rows")
    assert f"To see and mend the lines: {run.load.rejects_command}" in said


BAD_FILES: tuple[tuple[Callable[[bytes], bytes], type[TaxiwayError], str], ...] = (
    (lambda whole: whole[: len(whole) // 2], InvalidFileError, "breaks off"),
    (lambda whole: whole[:-8] + bytes(8), InvalidFileError, "damaged"),
    (lambda whole: b"<html><title>Not here</title></html>", InvalidFileError, "no gzip file"),
    (lambda whole: gzip.compress(b"<html>\n<body>"), InvalidFileError, "an HTML page"),
    (lambda whole: gzip.compress(b""), InvalidFileError, "is empty"),
    (lambda whole: unpacked(whole, b"fare_amount", b"fare"), HeaderError, "missing fare_amount; unknown fare"),
    (lambda whole: unpacked(whole, b"fare_amount", b"fare_amount,tip"), HeaderError, "unknown tip"),
)
"""What becomes of a file, and what is said of it; every other kind: the tests of the modules in ``files``."""


def unpacked(whole: bytes, old: bytes, new: bytes) -> bytes:
    return gzip.compress(gzip.decompress(whole).replace(old, new, 1))


def test_a_file_that_cannot_be_read_is_refused_and_changes_nothing(harness: Harness, months: Months) -> None:
    file = months.file(months.rows())
    first = months.run()
    first.complete(file)
    before, whole = harness.ids(first.load), file.read_bytes()
    refused = [(*kind, months.source) for kind in BAD_FILES]
    small = replace(months.source, max_unpacked_size=100)
    refused.append((lambda whole: whole, FileTooLargeError, r"at most 100 bytes.*max_unpacked_size", small))

    for number, (spoil, error, said, source) in enumerate(refused, 2):
        file.write_bytes(spoil(whole))
        run = months.run(f"manual__{number}", source=source)
        with pytest.raises(error, match=f"^{run.load.where}: .*{said}"):
            run.complete(file, force=True)

    assert harness.ids(first.load) == before
    assert [entry.state for entry in harness.attempts(first.load)[1:]] == ["failed"] * len(refused)
    assert harness.left_behind(first.load) == []


@pytest.mark.parametrize("bad", ["1,2", "x"], ids=["line", "field"])
def test_more_rejected_rows_than_the_source_allows_publish_nothing(bad: str, harness: Harness, months: Months) -> None:
    good, *rows = months.rows()
    bad = good.replace("0.50", "x") if bad == "x" else bad
    run, file = months.run(), months.file([*rows, bad])

    with pytest.raises(RejectLimitError, match=r"1 of 6 rows can't be read, expected at most 0\.10%") as caught:
        run.complete(file)

    said = str(caught.value)
    assert "line 7: " in said
    assert harness.ids(run.load) == []
    assert [kept[:2] for kept in harness.rejects(run.load)] == [(7, bad)]
    (entry,) = harness.attempts(run.load)
    assert (entry.stands, entry.counts[:2]) == (("manual__1", 1, "failed"), (6, 1))
    assert harness.left_behind(run.load) == []

    # With the share that the error advises, the month loads.
    advised = re.search(
        rf"set 'max_rejected_share: ([\d.]+)' in that file, and clear the task {run.load.first_step} with its", said
    )
    assert advised is not None
    allowing = months.run(source=replace(months.source, max_rejected_share=float(advised[1])))
    assert allowing.complete(file) == Counts(5, 0, 0)


def test_a_month_that_does_not_balance_is_not_published(harness: Harness, months: Months) -> None:
    """A row is lost, then added, after the rows have their ids."""
    file = months.file(months.rows())
    run = months.run()
    run.download(file)
    run.go_on(before=CHECK)
    lost, copied, *_ = specified_ids(months.source, file)

    harness.lose_ready_row(run.load, lost)
    with pytest.raises(BalanceError, match="the month doesn't balance: 6 rows read, 5 ready to be published"):
        run.do(CHECK)
    for number in range(2):
        harness.add_ready_row(run.load, copied, f"{number:032d}")
    with pytest.raises(BalanceError, match="the month doesn't balance: 6 rows read, 7 ready to be published"):
        run.do(CHECK, again=True)

    assert harness.ids(run.load) == []
    assert [entry.state for entry in harness.attempts(run.load)] == ["failed", "failed"]


def test_a_check_that_fails_publishes_nothing(harness: Harness, months: Months) -> None:
    """The file of the next month under this one's name."""
    run = months.run()

    with pytest.raises(CheckFailedError, match=r"another_month: share outside month of .* is 1, expected"):
        run.complete(months.file(months.rows(month=months.month.next())))

    assert harness.ids(run.load) == []
    (entry,) = harness.attempts(run.load)
    assert (entry.step, entry.state) == (CHECK, "failed")
    assert "another_month" in str(entry.error)
    assert harness.left_behind(run.load) == []


def test_a_check_that_warns_publishes_and_the_ledger_has_the_warning(harness: Harness, months: Months) -> None:
    """Its rows are compared with each other, and their number with that of the month before."""
    neighbours = Check("rows_like_neighbours", "rows_to_neighbours", None, 0.5, 2.0, "warn", "cut off")
    source, next_month = replace(months.source, checks=(*months.source.checks, neighbours)), months.month.next()
    before, run = months.run(source=source), months.run(source=source, month=next_month)
    assert before.complete(months.file(months.rows())) == Counts(6, 0, 0)
    first, second = months.rows(2, next_month)

    assert run.complete(months.file([first.replace("0.50", "-0.50"), second], "next")) == Counts(2, 0, 0)

    assert [entry.warnings for entry in harness.attempts(before.load)] == [()]
    (entry,) = harness.attempts(run.load)
    assert entry.state == "published"
    assert entry.warnings == (
        "negative_fares: share negative of fare_amount is 0.5, expected at most 0.15: more refunds than usual",
        "rows_like_neighbours: rows to neighbours is 0.3333, expected at least 0.5 and at most 2: cut off",
    )


def test_every_measure_is_measured_on_every_type_of_column(harness: Harness, months: Months) -> None:
    """Each warehouse has a macro for it, in its own ``_measures.sql``."""
    checks = tuple(
        Check(f"check_{measure}_{column.name}", measure, column.name, None, 1.0, "fail", "x")
        for measure, types in MEASURES.items()
        for column in months.source.columns
        if column.type in types
    )
    run = months.run(source=replace(months.source, checks=checks))
    first, second, *others = months.rows()
    run.download(
        months.file([first.replace("0.50", "-0.50"), second, *others, first.replace(str(months.month), "2001-01")])
    )
    run.go_on(before=CHECK)

    with harness.open(run.load) as warehouse, warehouse.step(CHECK) as attempt:
        shares = warehouse.measure(attempt).shares

    assert set(shares) == {check.name for check in checks}
    found = {name: share for name, share in shares.items() if share}
    assert found == {
        "check_share_outside_month_lpep_pickup_datetime": pytest.approx(1 / 7),
        "check_share_negative_fare_amount": pytest.approx(1 / 7),
        "check_share_null_store_and_fwd_flag": pytest.approx(1 / 7),
        "check_share_null_fare_amount": pytest.approx(1 / 7),
    }


def test_another_table_in_the_main_tables_place_is_refused_and_stays(harness: Harness, months: Months) -> None:
    source = replace(months.source, main_table="mine")
    table = harness.main_table(source)
    harness.create_table(table)
    harness.do(f"INSERT INTO {table} (unique_row_id, mine) VALUES (1, 2)")
    run = months.run(source=source)

    with pytest.raises(MainTableError, match=r"with unique_row_id \w+, mine \w+[,;].* expected .*Rename it"):
        run.complete(months.file(months.rows()))

    assert harness.ask(f"SELECT unique_row_id, mine FROM {table}") == [(1, 2)]
    (entry,) = harness.attempts(run.load)
    assert entry.state == "failed"


@pytest.mark.parametrize(("kept", "new"), [(0, 0), (7, 0), (0, 12)], ids=["empty", "shorter", "other rows"])
def test_a_file_that_lacks_too_many_published_rows_is_refused_until_a_person_accepts(
    kept: int, new: int, harness: Harness, months: Months
) -> None:
    """Rows that are equal have ids of their own: those that the file has are not counted."""
    source = replace(months.source, allow_empty=True)
    rows = [*months.rows(7), *months.rows(3)]
    whole, cut = months.file(rows), months.file([*rows[:kept], *months.rows(7 + new)[7:]], "cut")
    first, second, third = (months.run(f"manual__{number}", source=source) for number in range(3))
    first.complete(whole)
    before = harness.ids(first.load)

    with pytest.raises(DestructiveCorrectionError) as caught:
        second.complete(cut)

    assert str(caught.value).startswith(
        f"{first.load.where}: {first.load.filename} would delete {10 - kept} of the 10 published rows, expected at "
        f"most 20.00%"
    )
    assert harness.ids(first.load) == before
    refused = harness.attempts(first.load)[-1]
    assert (refused.stands, refused.step) == (("manual__1", 1, "failed"), PUBLISH)
    assert refused.error == f"{PUBLISH}: {caught.value}"
    assert refused.counts == (kept + new, 0, kept + new)
    assert harness.left_behind(first.load) == []

    # With the conf that the error advises:
    accepting = replace(third, accepts=True)
    assert ACCEPTING_CONF in str(caught.value)
    assert accepting.complete(cut) == Counts(new, 10 - kept, kept)
    assert harness.ids(first.load) == sorted(specified_ids(source, cut))


def test_a_correction_may_delete_as_many_rows_as_the_source_allows(harness: Harness, months: Months) -> None:
    """Also if equal rows are among them, and rows that changed count as deleted ones."""
    rows = [*months.rows(7), *months.rows(3)]
    first, second, third = (months.run(f"manual__{number}") for number in range(3))
    first.complete(months.file(rows))
    corrected = months.file([*rows[:6], rows[6].replace("6.50", "6.75"), *rows[7:9]], "corrected")

    assert second.complete(corrected) == Counts(inserted=1, deleted=2, unchanged=8)
    strict = replace(third, load=replace(third.load, source=replace(months.source, max_deleted_share=0.1)))
    with pytest.raises(DestructiveCorrectionError, match=r"delete 1 of the 9 published rows, expected at most 10\.00%"):
        strict.complete(months.file([*rows[:6], *rows[7:9]], "shorter"))


def test_a_load_waits_in_its_attempt_until_a_person_has_answered(harness: Harness, months: Months) -> None:
    source = replace(months.source, approval=True)
    first, rejected, approved = (months.run(f"manual__{number}", source=source) for number in range(3))
    first.complete(months.file(months.rows()))
    before, cut = harness.ids(first.load), months.file(months.rows(2), "cut")

    rejected.ready(cut)
    question = rejected.do(PUBLISH)
    assert isinstance(question, ToApprove)
    assert question.deletions == Deletions(4, 6)
    # Another load, which the error of a refused one advises, would be a second one while this one waits.
    assert ACCEPTING_CONF not in question.said
    waiting = harness.attempts(first.load)[-1]
    assert (waiting.stands, waiting.step) == (("manual__1", 1, "running"), PUBLISH)
    assert waiting.error == f"waits for a person to approve: {question.said}"
    with pytest.raises(DestructiveCorrectionError, match="admin has rejected that"):
        rejected.answer(question, Answer(question.deletions, approved=False, by="admin"))
    assert harness.ids(first.load) == before

    approved.ready(cut)
    question = approved.do(PUBLISH)
    assert question.sha256 == hashlib.sha256(cut.read_bytes()).hexdigest()
    approved.answer(question, Answer(question.deletions, approved=True, by="admin", sha256=question.sha256))
    assert approved.counts == Counts(0, 4, 2)
    assert harness.ids(first.load) == sorted(specified_ids(source, cut))
    ended = [(*entry.stands, entry.error is None) for entry in harness.attempts(first.load)[1:]]
    assert ended == [("manual__1", 1, "failed", False), ("manual__2", 1, "published", True)]


def test_rows_that_somebody_has_added_do_not_keep_the_published_file_out(harness: Harness, months: Months) -> None:
    """The file that is published deletes only what is not its own."""
    file = months.file(months.rows())
    run = months.run()
    run.complete(file)
    before, table = harness.ids(run.load), harness.main_table(months.source)
    names = ", ".join(name for name in harness.columns_of(table) if name != "unique_row_id")
    for number in range(4):
        harness.do(
            f"INSERT INTO {table} (unique_row_id, {names}) SELECT '{number:032d}', {names} FROM {table} "
            f"WHERE {harness.of_month(run.load)} AND unique_row_id = '{before[0]}'"
        )

    again = months.run("manual__2")
    assert again.complete(file) == Counts(inserted=0, deleted=4, unchanged=6)
    assert harness.ids(run.load) == before


def check_sums(warehouse: Warehouse, outputs: Any = None, resumed: Any = None) -> None:
    """Fail a month in which all fares together are zero."""
    with warehouse.step("check_sums"):
        if warehouse.evaluate("sum(fare_amount)") == 0:
            raise CheckFailedError(f"{warehouse.load.where}: fare_amount sums to zero. Nothing was published")


def test_a_step_before_publishing_is_one_line_and_its_function(harness: Harness, months: Months) -> None:
    run = Run.of(harness, months.source, months.month, "manual__1", before_publishing(Step("check_sums", check_sums)))
    rows = months.rows()
    zero = [",".join([*row.split(",")[:3], "0.00"]) for row in rows]

    with pytest.raises(CheckFailedError, match="fare_amount sums to zero"):
        run.complete(months.file(zero))
    assert run.complete(months.file(rows, "corrected")) == Counts(6, 0, 0)

    failed, published = harness.attempts(run.load)
    assert (failed.stands, failed.step) == (("manual__1", 1, "failed"), "check_sums")
    assert failed.error == f"check_sums: {run.load.where}: fare_amount sums to zero. Nothing was published"
    assert (published.stands, published.step) == (("manual__1", 2, "published"), PUBLISH)
    assert harness.left_behind(run.load) == []


def test_a_step_asks_for_the_value_of_an_expression_over_the_ready_rows(harness: Harness, months: Months) -> None:
    run = months.run()
    run.download(months.file(months.rows()))
    run.go_on(before=HASH)

    with harness.open(run.load) as warehouse, pytest.raises(MissingInputError, match=f"clear the task {STAGE}"):
        warehouse.evaluate("count(*)")
    run.do(HASH)
    with harness.open(run.load) as warehouse:
        assert warehouse.evaluate("sum(fare_amount)") == Decimal("16.5")
        assert warehouse.evaluate("count(DISTINCT pulocationid)") == 6
        assert warehouse.evaluate("max(store_and_fwd_flag)") == "N"
        assert warehouse.evaluate("min(CASE WHEN pulocationid > 100 THEN fare_amount END)") is None


def test_steps_that_are_cleared_reject_the_same_rows_again(harness: Harness, months: Months) -> None:
    """What the error of rejected rows advises: clear a task with its downstream tasks."""
    first, second, *others = months.rows()
    run = months.run(source=replace(months.source, max_rejected_share=0.5))
    run.ready(months.file([first, second.replace(",1,", ",x,"), "1,2", *others]))
    kept = harness.rejects(run.load)
    assert len(kept) == 2

    run.do(STAGE)
    run.go_on(after=STAGE)

    assert run.publish() == Counts(5, 0, 0)
    assert [entry.counts for entry in harness.attempts(run.load)] == [(7, 2, 5)] * 2
    of_attempts = [harness.rejects(run.load).count(line) for line in kept]
    assert of_attempts == [2, 2]
