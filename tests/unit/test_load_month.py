"""What the steps of a load do, with a warehouse that only says what it was asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from taxiway.download.download import Download
from taxiway.errors import (
    BalanceError,
    ChangedFileError,
    CheckFailedError,
    DamagedFileError,
    DestructiveCorrectionError,
    MissingFileError,
    MissingInputError,
    MonthNotFoundError,
    RejectLimitError,
)
from taxiway.loads.attempts import Attempt
from taxiway.loads.deletions import Answer, DeletionGuard, Deletions, ToApprove
from taxiway.loads.load import Counts, Load
from taxiway.loads.month import (
    Downloaded,
    check_month,
    create_main_table,
    download_month,
    drop_staging,
    hash_rows,
    merge_month,
    stage_month,
    upload_month,
)
from taxiway.loads.publication import Counted, Difference, Measured, Published
from taxiway.loads.warehouse import Pending, Resumed
from taxiway.messages import counted
from taxiway.sources.checks import Check
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source
from tests.releases import ending, from_path

FILE = Download("/cache/lime.csv.gz", "http://mirror.test/lime.csv.gz", None, None, 10, "aa", from_cache=False)
OUTPUTS = {"download_month": FILE.to_dict(), "upload_month": {"object": "x"}, "stage_month": {"canonical": True}}
ATTEMPT = Attempt("1", "1", 1, "download_month", "running", warnings=("before this load, x", "an earlier word"))
PUBLISHED = Published("aa", rows_read=10, rows_rejected=1, rows_staged=9, fetched_load_id="0")
UNCHANGED = {
    "digest": "d",
    "rows_read": 10,
    "rows_rejected": 1,
    "rows_staged": 9,
    "rows_inserted": 0,
    "rows_deleted": 0,
    "rows_unchanged": 9,
}
JOB = Pending("job", "1")
WAITED = Resumed("job", "1")


@dataclass
class Answers:
    """A warehouse that answers as it is told, and notes what it is asked for."""

    load: Load
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    restages: bool = False
    attempt: Attempt = ATTEMPT
    holds: bool = True

    @contextmanager
    def step(self, name: str, resumed: Resumed | None = None) -> Iterator[Attempt]:
        self.asked.append((f"{name} after {resumed}" if resumed else name, "{"))
        yield self.attempt
        self.asked.append("}")

    @contextmanager
    def month_held(self) -> Iterator[bool]:
        self.asked.append(("month_held", "{"))
        yield self.holds
        self.asked.append("}")

    def record(self, attempt: Attempt, state: str = "running", **values: Any) -> None:
        assert attempt is self.attempt
        self.asked.append((state, values))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any other question: the answer may be an error, or one for each time."""

        def ask(*given: Any, **named: Any) -> Any:
            self.asked.append((name, *given, *named.values()))
            answer = self.answers.get(name)
            if isinstance(answer, list):
                answer = answer.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return ask


@pytest.fixture
def load(green: Source) -> Load:
    check = Check("few_rows", "rows_to_neighbours", None, 0.5, None, "warn", "look")
    other = Check("nulls", "share_null", "vendorid", None, 0.1, "fail", "look")
    lime = replace(
        ending(from_path(green, "lime/lime_{month}.csv.gz"), Month(2019, 1)),
        name="lime",
        main_table="lime_trips",
        max_rejected_share=0.1,
        checks=(check, other),
    )
    return Load(lime, Month(2019, 1), "manual__1")


def begun(
    load: Load,
    *,
    force: bool = False,
    must_exist: bool = False,
    absent: MonthNotFoundError | None = None,
    **answers: Any,
) -> tuple[Downloaded, list[Any]]:
    """What downloading returns, and what it asked for within its step."""
    warehouse = Answers(load, answers)

    def download() -> Download:
        warehouse.asked.append("download")
        if absent is not None:
            raise absent
        return FILE

    downloaded = download_month(warehouse, download, must_exist=must_exist, **({"force": True} if force else {}))
    first, *asked, last = warehouse.asked
    assert (first, last) == (("download_month", "{"), "}")
    return downloaded, asked


def test_a_load_begins_with_its_file(load: Load) -> None:
    beginning = [("require_no_obstacle", False), "download", ("running", {"file": FILE}), ("find_published",)]
    for published in (None, replace(PUBLISHED, sha256="bb")):
        assert begun(load, find_published=published) == (
            Downloaded(FILE),
            [*beginning, ("require_no_obstacle", True)],
        )
        assert begun(load, find_published=published, require_no_obstacle=True) == (Downloaded(FILE), beginning)


def test_a_load_without_a_step_for_the_main_table_prepares_it_first(load: Load) -> None:
    steps = tuple(step for step in load.steps if step != "create_main_table")

    assert begun(replace(load, steps=steps))[1][:2] == [("prepare",), ("require_no_obstacle", False)]


def test_a_month_that_there_is_not_is_skipped(load: Load) -> None:
    later = replace(load, month=Month(2019, 2))
    reason = later.source.why_unavailable(later.month)

    assert reason is not None
    assert begun(later) == (Downloaded(None, reason), [("skipped", {"error": reason})])
    # Who asks for this very month is told that nothing was loaded.
    with pytest.raises(MonthNotFoundError) as refused:
        begun(later, must_exist=True)
    assert str(refused.value) == f"{reason}. Nothing was loaded"


ABSENT = MonthNotFoundError("lime: the answer is 403; expected a file. Check it", found="lime: the answer is 403")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati"])
def test_a_month_that_is_not_published_yet_is_skipped_until_its_file_is_due(
    load: Load, zone: str, *, force: bool
) -> None:
    source = replace(ending(load.source, None), timezone=zone)
    today = source.today()
    before = Month.of(today).previous()
    days = (today - Month.of(today).first_day).days
    late = replace(load, month=before, source=source)
    due_tomorrow, due_today = (
        replace(late, source=replace(late.source, publication_lag_days=lag)) for lag in (days + 1, days)
    )

    downloaded, asked = begun(due_tomorrow, force=force, absent=ABSENT)

    assert downloaded.file is None
    assert downloaded.nothing_to_do == (
        f"lime: the answer is 403: not published yet: include/sources/lime.yaml expects the file by "
        f"{today + timedelta(days=1)}, {counted(days + 1, 'day')} after the month's end (publication_lag_days). Until "
        f"then an absent file is skipped, from then on it is an error. An unpaused DAG loads the month then"
    )
    assert asked[1:] == ["download", ("skipped", {"error": downloaded.nothing_to_do})]
    for must_exist in (False, True):
        with pytest.raises(MonthNotFoundError, match="Check it"):
            begun(due_today, force=force, absent=ABSENT, must_exist=must_exist)
    with pytest.raises(MonthNotFoundError) as refused:
        begun(due_tomorrow, force=force, absent=ABSENT, must_exist=True)
    said, _, _ = downloaded.nothing_to_do.partition(". Until then")
    assert str(refused.value) == f"{said}. Nothing was loaded: load the month later"


def test_a_file_of_no_month_is_never_awaited(load: Load) -> None:
    alone = replace(load.source, period="none", releases=(replace(load.source.releases[0], first=WHOLE, last=WHOLE),))

    with pytest.raises(MonthNotFoundError):
        begun(replace(load, source=alone, month=WHOLE), absent=ABSENT)


def test_a_forced_load_looks_at_nothing_that_is_published(load: Load) -> None:
    assert begun(load, force=True, find_published=PUBLISHED, require_no_obstacle=True) == (
        Downloaded(FILE),
        [("require_no_obstacle", True), "download", ("running", {"file": FILE})],
    )


BEGINNING = [("require_no_obstacle", False), "download", ("running", {"file": FILE}), ("find_published",)]
HELD = [*BEGINNING, ("month_held", "{"), ("find_published",)]


def test_the_same_bytes_are_not_published_again(load: Load) -> None:
    assert begun(load, find_published=PUBLISHED, confirm={"digest": "d"}) == (
        Downloaded(FILE, "lime 2019-01: lime_2019-01.csv is published with the same bytes"),
        [*HELD, ("difference_to", PUBLISHED), ("confirm", ATTEMPT, FILE), ("unchanged", UNCHANGED), "}"],
    )


def test_what_is_published_is_asked_once_if_nobody_can_be_kept_from_publishing(load: Load) -> None:
    warehouse = Answers(load, {"find_published": PUBLISHED, "confirm": {"digest": "d"}}, holds=False)

    assert download_month(warehouse, lambda: FILE).nothing_to_do is not None
    assert warehouse.asked.count(("find_published",)) == 1


def test_what_is_published_counts_when_nobody_else_publishes(load: Load) -> None:
    """Before, another run may have published another file, or somebody have removed the month."""
    for meanwhile in (None, replace(PUBLISHED, sha256="bb")):
        assert begun(load, find_published=[PUBLISHED, meanwhile]) == (
            Downloaded(FILE),
            [*HELD, "}", ("require_no_obstacle", True)],
        )


def test_a_load_goes_on_if_another_run_may_be_about_to_publish(load: Load) -> None:
    assert begun(load, find_published=PUBLISHED, confirm=None) == (
        Downloaded(FILE),
        [*HELD, ("difference_to", PUBLISHED), ("confirm", ATTEMPT, FILE), "}", ("require_no_obstacle", True)],
    )


@pytest.mark.parametrize(("must_change", "last"), [(True, [("require_no_obstacle", True)]), (False, [])])
def test_a_month_that_was_changed_is_loaded_again(
    must_change: bool, last: list[Any], load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    difference = Difference("a row is missing", must_change)

    assert begun(load, find_published=PUBLISHED, difference_to=difference) == (
        Downloaded(FILE),
        [
            *HELD,
            ("difference_to", PUBLISHED),
            ("running", {"warnings": ["before this load, a row is missing"]}),
            "}",
            *last,
        ],
    )
    assert caplog.messages == ["lime 2019-01: a row is missing: the month is loaded again"]


def inside(warehouse: Answers, step: str) -> list[Any]:
    """What was asked for within the only step."""
    first, *asked, last = warehouse.asked
    assert (first, last) == ((step, "{"), "}")
    return asked


def test_a_file_is_uploaded_and_the_main_table_prepared(load: Load) -> None:
    warehouse = Answers(load, {"upload": {"object": "x"}})
    assert upload_month(warehouse, OUTPUTS) == {"object": "x"}
    assert inside(warehouse, "upload_month") == [("upload", ATTEMPT, FILE)]

    warehouse = Answers(load)
    create_main_table(warehouse, {})
    assert inside(warehouse, "create_main_table") == [("prepare",)]


@pytest.mark.parametrize(("resumed", "step"), [(None, "stage_month"), (WAITED, f"stage_month after {WAITED}")])
def test_a_month_is_staged_with_what_was_uploaded(resumed: Resumed | None, step: str, load: Load) -> None:
    warehouse = Answers(load, {"stage": [JOB, {"canonical": True}]})
    outputs = {"download_month": FILE.to_dict()}

    assert stage_month(warehouse, OUTPUTS, resumed) == JOB
    assert inside(warehouse, step) == [("stage", ATTEMPT, FILE, {"object": "x"}, resumed)]
    assert stage_month(warehouse, outputs, resumed) == {"canonical": True}
    assert warehouse.asked[-2] == ("stage", ATTEMPT, FILE, None, resumed)


@pytest.mark.parametrize(("resumed", "step"), [(None, "hash_rows"), (WAITED, f"hash_rows after {WAITED}")])
def test_staged_rows_get_their_ids(
    resumed: Resumed | None, step: str, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    warehouse = Answers(load, {"hash": [JOB, 9]})

    assert hash_rows(warehouse, OUTPUTS, resumed) == JOB
    assert inside(warehouse, step) == [("hash", ATTEMPT, FILE, {"canonical": True}, resumed)]
    assert caplog.messages == []
    assert hash_rows(warehouse, OUTPUTS, resumed) is None
    assert caplog.messages == ["lime 2019-01: 9 rows with an id"]


@pytest.mark.parametrize("resumed", [None, WAITED])
def test_rows_that_are_gone_are_staged_again_if_that_needs_no_wait(
    resumed: Resumed | None, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse = Answers(load, {"hash": [MissingInputError("no rows"), 9], "stage": {"canonical": False}}, restages=True)

    assert hash_rows(warehouse, OUTPUTS, resumed) is None

    assert [asked for asked in warehouse.asked if asked[0] in ("stage", "hash")] == [
        ("hash", ATTEMPT, FILE, {"canonical": True}, resumed),
        ("stage", ATTEMPT, FILE, {"object": "x"}, None),
        ("hash", ATTEMPT, FILE, {"canonical": False}, resumed),
    ]
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "no rows: staging it again first"
    ]
    with pytest.raises(MissingInputError, match="no rows"):
        hash_rows(Answers(load, {"hash": MissingInputError("no rows")}), OUTPUTS, resumed)


LOST = [MissingFileError("x: the file is gone"), DamagedFileError("x: the file is damaged")]


@pytest.mark.parametrize("lost", LOST, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("step", "asked", "answer"),
    [(upload_month, "upload", {"object": "x"}), (stage_month, "stage", {"canonical": True}), (hash_rows, "hash", 9)],
)
def test_a_file_that_is_lost_is_fetched_again(
    lost: Any, step: Callable[..., Any], asked: str, answer: Any, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it lies now is all that changes; the rest says how the load's file came."""
    here = replace(FILE, path="/other/lime.csv.gz", etag="new", from_cache=True)
    warehouse = Answers(load, {asked: [lost, answer]}, attempt=replace(ATTEMPT, sha256=FILE.sha256))

    step(warehouse, OUTPUTS, None, lambda: here)

    files = [call[2] for call in warehouse.asked if call[0] == asked]
    assert files == [FILE, replace(FILE, path="/other/lime.csv.gz")]
    assert [call[0] for call in warehouse.asked if call[1:] == ("{",)] == [step.__name__]
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{lost.found}: fetching it again"
    ]


def test_a_file_that_is_lost_once_more_is_an_error(load: Load) -> None:
    warehouse = Answers(load, {"stage": [LOST[0], LOST[1]]})

    with pytest.raises(DamagedFileError, match=r"is damaged\. Clear the task download_month with its downstream tasks"):
        stage_month(warehouse, OUTPUTS, None, lambda: FILE)
    with pytest.raises(MissingFileError, match=r"is gone\. Clear the task download_month with its downstream tasks"):
        stage_month(Answers(load, {"stage": LOST[0]}), OUTPUTS)


@pytest.mark.parametrize(("recorded", "fetched"), [(None, "bb"), ("aa", "bb"), ("bb", "aa")])
def test_another_file_at_the_source_is_not_loaded(recorded: str | None, fetched: str, load: Load) -> None:
    """What the ledger knows of the file counts."""
    warehouse = Answers(load, {"stage": [LOST[0], {}]}, attempt=replace(ATTEMPT, sha256=recorded))

    with pytest.raises(
        ChangedFileError,
        match=f"^x: the file is gone.*fetched SHA-256 {fetched} from {FILE.url}, expected {recorded or FILE.sha256}, "
        r".*clear the task download_month with its downstream tasks$",
    ):
        stage_month(warehouse, OUTPUTS, None, lambda: replace(FILE, sha256=fetched))
    assert [call[0] for call in warehouse.asked].count("stage") == 1


COUNTED = Counted(read=10, rejected=1, ready=9, of_file=9)


def test_a_month_is_checked(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    warehouse = Answers(load, {"measure": Measured(COUNTED, {"nulls": None}, [90])})

    check_month(warehouse)

    warning = "few_rows: rows to neighbours is 0.1, expected at least 0.5: look"
    assert inside(warehouse, "check_month") == [
        ("measure", ATTEMPT),
        ("running", {"warnings": ["before this load, x", warning]}),
    ]
    left_out, ready, warned, skipped = caplog.records
    assert left_out.levelno == warned.levelno == logging.WARNING
    assert left_out.getMessage().startswith("lime 2019-01: lime_2019-01.csv: 1 of 10 rows can't be read, and are left")
    assert ready.getMessage() == "lime 2019-01: 9 rows ready to be published, all of the file accounted for"
    assert warned.getMessage() == f"lime 2019-01: {warning}"
    assert skipped.getMessage() == "lime 2019-01: check nulls not measured: nothing to compare with yet"


def test_a_month_of_one_row_is_said_to_have_one(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    measured = Measured(Counted(1, 0, 1, 1), {"nulls": 0.0}, [1])
    warehouse = Answers(load, {"hash": [1], "measure": measured, "merge": Counts(1, 0, 0)}, attempt=COUNTED_ATTEMPT)

    hash_rows(warehouse, OUTPUTS)
    check_month(warehouse)
    merge_month(warehouse)

    assert [text for text in caplog.messages if "1 row" in text] == [
        "lime 2019-01: 1 row with an id",
        "lime 2019-01: 1 row ready to be published, all of the file accounted for",
        "lime 2019-01: published in lime_trips: 1 row inserted, 0 deleted, 0 unchanged",
    ]


def test_a_month_without_anything_odd_is_checked_without_a_word(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    before = replace(ATTEMPT, warnings=ATTEMPT.warnings[:1])
    for attempt, noted in ((before, []), (ATTEMPT, [("running", {"warnings": ["before this load, x"]})])):
        measured = Measured(Counted(9, 0, 9, 9), {"nulls": 0.1}, [9])
        warehouse = Answers(load, {"measure": measured}, attempt=attempt)

        check_month(warehouse)

        assert inside(warehouse, "check_month") == [("measure", attempt), *noted]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_month_that_the_main_table_would_refuse_is_not_published(load: Load) -> None:
    refused = CheckFailedError("lime 2019-01: the main table wants a positive total")
    measured = Measured(COUNTED, {"nulls": 0.0}, [9], refused=refused)

    with pytest.raises(CheckFailedError, match="wants a positive total"):
        check_month(Answers(load, {"measure": measured}))


@pytest.mark.parametrize(
    ("counted", "nulls", "error"),
    [
        (replace(COUNTED, read=11), 0.0, BalanceError),
        (Counted(10, 2, 8, 8), 0.0, RejectLimitError),
        (COUNTED, 0.2, CheckFailedError),
    ],
)
def test_a_month_that_must_not_be_published_is_refused(
    counted: Counted, nulls: float, error: type[Exception], load: Load
) -> None:
    measured = Measured(counted, {"nulls": nulls}, [9])

    with pytest.raises(error, match=r"^lime 2019-01: "):
        check_month(Answers(load, {"measure": measured}))


COUNTED_ATTEMPT = replace(ATTEMPT, sha256="aa", rows_staged=4, rows_rejected=1)
MERGED = {"inserted": 3, "deleted": 2, "unchanged": 1, "rows": 4, "rejected": 1, "digest": "aa"} | {
    "warnings": ["before this load, x", "an earlier word"]
}


@pytest.mark.parametrize(("resumed", "step"), [(None, "merge_month"), (WAITED, f"merge_month after {WAITED}")])
def test_a_month_is_published(resumed: Resumed | None, step: str, load: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    warehouse = Answers(load, {"merge": [JOB, Counts(3, 2, 1)]}, attempt=COUNTED_ATTEMPT)

    assert merge_month(warehouse, None, resumed) == JOB
    assert inside(warehouse, step) == [("merge", COUNTED_ATTEMPT, resumed, DeletionGuard(load, COUNTED_ATTEMPT))]
    assert caplog.messages == []
    assert merge_month(warehouse, None, resumed) == MERGED
    assert caplog.messages == ["lime 2019-01: published in lime_trips: 3 rows inserted, 2 deleted, 1 unchanged"]


def test_a_month_may_delete_what_a_person_accepts(load: Load) -> None:
    warehouse = Answers(load, {"merge": Counts(3, 2, 1)}, attempt=COUNTED_ATTEMPT)

    merge_month(warehouse, accept_deletions=True)

    guard = DeletionGuard(load, COUNTED_ATTEMPT, accepts_all=True)
    assert inside(warehouse, "merge_month") == [("merge", COUNTED_ATTEMPT, None, guard)]


DESTRUCTIVE = DestructiveCorrectionError("lime 2019-01: 7 of 9", "Load again", deleted=7, published=9)


def test_a_load_asks_a_person_if_its_source_says_so(load: Load) -> None:
    asking = replace(load, source=replace(load.source, approval=True))
    warehouse = Answers(asking, {"merge": DESTRUCTIVE}, attempt=COUNTED_ATTEMPT)

    question = merge_month(warehouse)

    assert question == ToApprove("1", Deletions(7, 9), "lime 2019-01: 7 of 9", "aa")
    guard = DeletionGuard(asking, COUNTED_ATTEMPT)
    noted = ("running", {"error": "waits for a person to approve: lime 2019-01: 7 of 9"})
    assert inside(warehouse, "merge_month") == [("merge", COUNTED_ATTEMPT, None, guard), noted]
    with pytest.raises(DestructiveCorrectionError):
        merge_month(Answers(load, {"merge": DESTRUCTIVE}, attempt=COUNTED_ATTEMPT))


def test_a_load_may_delete_what_a_person_has_approved_and_no_more(load: Load) -> None:
    asking = replace(load, source=replace(load.source, approval=True))
    waited, answer = Resumed(load_id="1"), Answer(Deletions(7, 9), approved=True, by="admin", sha256="aa")
    warehouse = Answers(asking, {"merge": [Counts(3, 2, 1), DESTRUCTIVE]}, attempt=COUNTED_ATTEMPT)

    assert merge_month(warehouse, None, waited, answer=answer) == MERGED
    guard = DeletionGuard(asking, COUNTED_ATTEMPT, approved=7)
    assert inside(warehouse, f"merge_month after {waited}") == [("merge", COUNTED_ATTEMPT, waited, guard)]
    # More rows by now: whoever has approved fewer is not asked again.
    with pytest.raises(DestructiveCorrectionError):
        merge_month(warehouse, None, waited, answer=answer)


def test_what_was_approved_in_an_earlier_try_is_not_asked_again(load: Load) -> None:
    asking = replace(load, source=replace(load.source, approval=True))
    before = Answer(Deletions(7, 9), approved=True, by="admin", sha256="aa")
    warehouse = Answers(asking, {"merge": [Counts(3, 2, 1), DESTRUCTIVE, DESTRUCTIVE]}, attempt=COUNTED_ATTEMPT)

    assert merge_month(warehouse, before=before) == MERGED
    guard = DeletionGuard(asking, COUNTED_ATTEMPT, approved=7)
    assert inside(warehouse, "merge_month") == [("merge", COUNTED_ATTEMPT, None, guard)]
    # More rows by now, or another file: that is another question.
    assert isinstance(merge_month(warehouse, before=before), ToApprove)
    merge_month(warehouse, before=replace(before, sha256="bb"))
    guards = [asked[-1] for asked in warehouse.asked if asked[0] == "merge"]
    assert [each.approved for each in guards] == [7, 7, 0]


@pytest.mark.parametrize(("by", "said"), [("admin", "admin has rejected that"), (None, "nobody has approved that")])
def test_nothing_is_published_that_nobody_has_approved(by: str | None, said: str, load: Load) -> None:
    warehouse = Answers(load, attempt=COUNTED_ATTEMPT)

    with pytest.raises(DestructiveCorrectionError, match=rf"delete 7 of the 9 published rows, {said}.* the conf "):
        merge_month(warehouse, None, WAITED, answer=Answer(Deletions(7, 9), approved=False, by=by))
    assert [asked for asked in warehouse.asked if asked[0] == "merge"] == []


@pytest.mark.parametrize("resumed", [None, WAITED])
def test_an_attempt_that_has_published_says_the_same_counts_again(resumed: Resumed | None, load: Load) -> None:
    published = replace(COUNTED_ATTEMPT, state="published", published=Counts(3, 2, 1))
    warehouse = Answers(load, attempt=published)

    assert merge_month(warehouse, None, resumed) == MERGED
    assert warehouse.asked[1:-1] == [("require_published", published), ("published", {"error": None})]

    changed = Answers(load, {"require_published": BalanceError("rows are gone")}, attempt=published)
    with pytest.raises(BalanceError, match="rows are gone"):
        merge_month(changed, None, resumed)
    assert changed.asked[1:] == [("require_published", published)]


def test_what_a_run_has_left_is_dropped(load: Load) -> None:
    warehouse = Answers(load)

    drop_staging(warehouse)

    assert warehouse.asked == [("discard",)]
