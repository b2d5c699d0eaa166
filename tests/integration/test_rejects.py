"""Rows that can't be read are kept aside with their line and reason, and the rest of the month loads."""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from taxiway import errors
from taxiway.files.rejects import MOST_KEPT
from taxiway.loads.row_identity import unique_row_ids
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from taxiway.warehouses.postgres.tables import LoadTables
from tests.conftest import Connect
from tests.loading import check_month, hash_rows, ids, load, query, source_file, stage_month, staging_tables

GOOD = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
BAD = {
    "word": (GOOD.replace("1.68", "far"), "trip_distance is 'far', expected a decimal number"),
    "date": (GOOD.replace("2019-01-05 00:44", "2019-02-30 00:44"), "lpep_pickup_datetime is '2019-02-30 00:44:02'"),
    "fraction": (GOOD.replace(",42,", ",1.5,"), "PULocationID is '1.5', expected a whole number"),
    "few": (GOOD.rpartition(",")[0], "19 fields, expected 20"),
    "many": (GOOD + ",1", "21 fields, expected 20"),
    "nul": (GOOD.replace(",N,", ",\0,"), "a NUL at byte"),
    "bytes": (GOOD.replace(",N,", ",\udcff,"), "not UTF-8: byte 0xff"),
    "quote": (GOOD.replace(",N,", ',"N,'), "isn't closed"),
    "null mark": (GOOD.replace(",N,", ",\\N,"), "store_and_fwd_flag is '\\\\N', expected neither"),
    "separator": (GOOD.replace(",N,", ",x\x1fy,"), "store_and_fwd_flag is 'x\\x1fy', expected neither"),
}
RESULT = "SELECT state, rows_read, rows_rejected, rows_staged, rows_inserted FROM taxiway.loads ORDER BY load_id"
KEPT = "SELECT line_number, raw_line, reason FROM taxiway.rejected_rows ORDER BY line_number"


def month_file(folder: Path, green: Source, rows: list[str], line_end: str = "\r\n") -> Path:
    path = folder / "green_tripdata_2019-01.csv.gz"
    lines = [",".join(column.header for column in green.columns), *rows]
    text = "".join(line + line_end for line in lines)
    path.write_bytes(gzip.compress(text.encode("utf-8", "surrogateescape")))
    return path


def lenient(green: Source) -> Source:
    return replace(green, max_rejected_share=1.0)


def printable(row: str) -> str:
    raw = row.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


FIELDS = st.sampled_from(["", "0", "-0", "1.50", ".5", "-.25", "100", "1.0", "99999.99", "0.00"])
GOOD_ROWS = st.builds(
    lambda fare, tip, flag, zone: (
        f"2,2019-01-05 00:44:02,2019-01-05 00:52:23,{flag},1,{zone},41,1,1.68,{fare},0.5,0.5,{tip},0,,0.3,9.3,1,1,0"
    ),
    FIELDS,
    FIELDS,
    st.sampled_from(["N", "Y", "", '"N"', '"a,b"', "\u00e9", "\\"]),
    st.sampled_from(["42", "42.0", "", "265", "0" * 20 + "42"]),
)
BAD_ROWS = st.sampled_from([bad for bad, _ in BAD.values()])
FILES = st.lists(st.tuples(st.booleans(), GOOD_ROWS, BAD_ROWS), min_size=1, max_size=25)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(rows=FILES, line_end=st.sampled_from(["\n", "\r\n"]))
def test_any_mix_balances_and_has_the_specified_ids(
    rows: list[tuple[bool, str, str]], line_end: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    with connection.transaction():
        connection.execute("DROP TABLE IF EXISTS public.green_tripdata CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS taxiway CASCADE")
    good = [row for is_good, row, _ in rows if is_good]
    written = [row if is_good else bad for is_good, row, bad in rows]

    load(connection, lenient(green), "2019-01", month_file(tmp_path, green, written, line_end))

    bad_count = len(rows) - len(good)
    assert query(connection, RESULT) == [("published", len(rows), bad_count, len(good), len(good))]
    parsed = [next(csv.reader([row])) for row in good]
    expected = sorted(unique_row_ids(green.columns, parsed))
    assert sorted(row_id.replace("-", "") for row_id in ids(connection, green)) == expected
    assert [line for line, _, _ in query(connection, KEPT)] == [
        number for number, (is_good, _, _) in enumerate(rows, start=2) if not is_good
    ]


@pytest.mark.parametrize("flag", ["N", '"N"', 'N""'], ids=["canonical", "saved again", "text"])
def test_leading_zeros_are_read_whatever_the_other_rows_hold(
    flag: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    rows = [GOOD.replace(",42,", ",00000000000000000042,"), GOOD.replace("9.3", "8.3").replace(",N,", f",{flag},")]

    load(connection, green, "2019-01", month_file(tmp_path, green, rows))

    assert query(connection, RESULT) == [("published", 2, 0, 2, 2)]
    assert query(connection, "SELECT DISTINCT pulocationid FROM green_tripdata") == [(42,)]


TIMES = (
    *("2019-01-05", "20190105", "12019-01-05 00:44:02", "today"),
    *(f"2019-01-05 {time}" for time in ("00:44:60", "24:00:00", "00:44:02.5", "00:44:02+05")),
)
"""Postgres reads each as another time; COPY into typed columns takes them."""
ALONE = (
    *BAD.values(),
    *((GOOD.replace("2019-01-05 00:44:02", time), f"lpep_pickup_datetime is '{time}'") for time in TIMES),
    # A text makes up for its characters.
    (
        GOOD.replace("2019-01-05 00:44:02", "20190105").replace(",N,", ",2019-01-05 00:44:02,"),
        "lpep_pickup_datetime is '20190105'",
    ),
    *((GOOD.replace("1.68", number), f"trip_distance is '{number}'") for number in ("NaN", "Infinity")),
)


def test_each_bad_row_is_kept_whichever_way_its_file_takes(connect: Connect, green: Source, tmp_path: Path) -> None:
    """Each in a file of its own: some stop the quick way into staging, some the quick way out of it."""
    connection = connect()
    source = replace(lenient(green), checks=())
    rows = [GOOD.replace("9.3", f"{number}.5") for number in range(3)]
    expected = sorted(unique_row_ids(green.columns, [row.split(",") for row in rows]))
    of_last = "WHERE load_id = (SELECT max(load_id) FROM taxiway.loads)"
    month = Month(2019, 1)
    for bad, reason in ALONE:
        load(connection, source, str(month), month_file(tmp_path, green, [*rows[:2], bad, *rows[2:]]))

        assert query(connection, RESULT)[-1] == ("published", 4, 1, 3, 3), bad
        ((line, raw, said),) = query(connection, KEPT.replace("ORDER", f"{of_last} ORDER"))
        assert (line, raw, reason in said) == (4, printable(bad), True), (bad, said)
        found = sorted(row_id.replace("-", "") for row_id in ids(connection, green, green.filename(month)))
        assert found == expected, bad
        month = month.next()
    assert staging_tables(connection) == []


def test_more_bad_rows_than_are_kept_are_counted_all_the_same(connect: Connect, green: Source, tmp_path: Path) -> None:
    """Some stop the way into staging, some have several fields that can't be read; the good rows load."""
    connection = connect()
    many = MOST_KEPT + 200
    good = [GOOD.replace("9.3", f"{number}.5") for number in range(50)]
    odd = GOOD.replace("1.68", "far").replace(",42,", ",1.5,").replace("2019-01-05 00:44", "2019-02-30 00:44")

    load(connection, lenient(green), "2019-01", month_file(tmp_path, green, [*good, *["1,2"] * many, *[odd] * many]))

    assert query(connection, RESULT) == [("published", 50 + 2 * many, 2 * many, 50, 50)]
    assert query(connection, "SELECT count(*) FROM taxiway.rejected_rows") == [(MOST_KEPT,)]


def test_two_steps_together_keep_no_more_lines_than_one(
    connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that finds lines that are no rows is first; the one that finds fields fills up what is left."""
    monkeypatch.setattr("taxiway.warehouses.postgres.rejects.MOST_KEPT", 5)
    connection = connect()

    load(connection, lenient(green), "2019-01", month_file(tmp_path, green, [GOOD, *[BAD["word"][0], "1,2"] * 3]))

    assert query(connection, RESULT) == [("published", 7, 6, 1, 1)]
    assert [line for line, _, _ in query(connection, KEPT)] == [3, 4, 5, 6, 8]


def test_a_step_that_failed_behind_its_commit_finds_the_limit_again(
    connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try finds the bad rows gone from staging, and must not take the rest for a good month."""
    connection = connect()
    rows = [GOOD.replace("9.3", f"{number}.5") for number in range(90)]
    path = month_file(tmp_path, green, [*rows, *[BAD["word"][0]] * 10])
    tables = LoadTables(green, Month(2019, 1), "manual__1")
    staged = stage_month(connection, tables, source_file(path))
    with monkeypatch.context() as patch:
        patch.setattr("taxiway.warehouses.postgres.hash.require_few_rejects", cut)
        with pytest.raises(OSError, match="cut"):
            hash_rows(connection, tables, staged)
    assert query(connection, RESULT)[-1][:3] == ("failed", 100, 10)

    with pytest.raises(errors.RejectLimitError, match="10 of 100 rows"):
        hash_rows(connection, tables, staged)

    with monkeypatch.context() as patch:
        patch.setattr("taxiway.warehouses.postgres.hash.require_few_rejects", lambda *_: None)
        hash_rows(connection, tables, staged)
    with pytest.raises(errors.RejectLimitError, match="10 of 100 rows"):
        check_month(connection, tables)
    assert ids(connection, green) == []


def cut(*_: object) -> None:
    raise OSError("cut")


def test_rows_that_were_staged_twice_are_staged_again(
    connect: Connect, green: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that was taken for dead may go on beside the next try."""
    connection = connect()
    rows = [GOOD.replace("9.3", f"{number}.5") for number in range(20)]
    tables = LoadTables(green, Month(2019, 1), "manual__1")
    staged = stage_month(connection, tables, source_file(month_file(tmp_path, green, rows)))
    assert staged["stage_month"]["canonical"]
    names = ", ".join(column.name for column in green.columns)
    with connection.transaction():
        connection.execute(f"INSERT INTO {tables.staging_table} ({names}) SELECT {names} FROM {tables.staging_table}")

    hash_rows(connection, tables, staged)

    assert re.search(r"holds 40 rows, expected the 20 .* stages the file again", caplog.text)
    check_month(connection, tables)


@pytest.mark.parametrize("bad", [[], ["x"]], ids=["all good", "one bad"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_empty_lines_are_no_rows_of_one_column_either(
    bad: list[str], line_end: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    column = Column("number", "number", "integer", "a number")
    single = replace(lenient(green), columns=(column,), main_table="numbers", checks=())

    load(connection, single, "2019-01", month_file(tmp_path, single, ["5", "", "6", "", *bad], line_end))

    assert query(connection, RESULT) == [("published", 2 + len(bad), len(bad), 2, 2)]


def test_a_line_end_within_a_field_is_not_made_up_for_by_one_that_is_none(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    """As many lines as COPY finds rows, and yet no line is a row."""
    connection = connect()
    first, _, last = GOOD.partition(",N,")
    rows = [f'{first},"x\ny",{last}\r{GOOD}', GOOD]

    load(connection, lenient(green), "2019-01", month_file(tmp_path, green, rows, "\n"))

    assert query(connection, RESULT) == [("published", 3, 2, 1, 1)]


def test_a_file_that_cannot_be_read_is_a_matter_for_another_try(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    path = month_file(tmp_path, green, [GOOD])
    file = source_file(path)
    path.unlink()
    path.mkdir()

    with pytest.raises(errors.DownloadError, match=r"green 2019-01: .*can't be read: .*directory"):
        stage_month(connect(), LoadTables(green, Month(2019, 1), "manual__1"), file)
