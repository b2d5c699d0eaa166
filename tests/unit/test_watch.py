"""What the watch decides of a file: from what the ledger knows and the mirror says, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taxiway.download.look import FileVersion, Look, Presence
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.loads.published_months import LastLoad, MonthState
from taxiway.loads.watch import MOST_RUNS, Decision, Question, Verdict, decide, limited, question, run_id_of
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month, in_words
from taxiway.sources.source import Source, load_source

GREEN = load_source(SOURCES_FOLDER / "green.yaml")
ZONES = load_source(SOURCES_FOLDER / "zones.yaml")
NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
LOADED_AT = datetime(2026, 11, 1, tzinfo=timezone.utc)
ONE, OTHER = FileVersion('"one"', None, 1), FileVersion('"other"', None, 2)
AT = "http://mirror.test"


def url(source: Source, month: Month) -> str:
    return f"{AT}/{source.file_path(month)}"


def published(month: Month, *versions: FileVersion, source: Source = GREEN, at: str | None = None) -> MonthState:
    address = url(source, month) if at is None else at
    return MonthState(LOADED_AT, tuple((address, version) for version in versions or (ONE,)))


def look(month: Month, found: FileVersion | Presence = ONE, *, source: Source = GREEN) -> Look:
    if isinstance(found, FileVersion):
        return Look(url(source, month), Presence.THERE, "the answer is 200", found)
    return Look(url(source, month), found, "the answer is 404")


def decided(
    states: Mapping[Month, MonthState],
    found: Mapping[Month, FileVersion | Presence],
    *,
    source: Source = GREEN,
    last: Mapping[Month, LastLoad] | None = None,
    runs: Mapping[str, str] | None = None,
    catch_up: int = 6,
    now: datetime = NOW,
    **options: Any,
) -> dict[str, Decision]:
    """The decisions, by month; a following file that isn't named is absent."""
    asked = question(source, states, now, catch_up)
    looks = {
        month: look(month, found.get(month, Presence.ABSENT), source=source)
        for month in (*asked.published, *asked.following)
    }
    decisions = decide(
        source,
        asked,
        states,
        last or {},
        looks,
        now,
        warehouse="postgres",
        catch_up=catch_up,
        state_of=(runs or {}).get,
        how_to_load=lambda months: f"To load: {in_words(months)}",
        **options,
    )
    assert decisions == sorted(decisions, key=lambda each: each.month)
    return {str(each.month): each for each in decisions}


# --- What is asked for


def months(*texts: str) -> tuple[Month, ...]:
    return tuple(map(Month.parse, texts))


def test_nothing_is_asked_of_a_source_that_nobody_has_loaded() -> None:
    failed = {Month(2019, 1): MonthState()}

    assert question(GREEN, {}, NOW, 6) == question(GREEN, failed, NOW, 6) == Question((), (), ())


def test_the_months_behind_the_last_one_are_asked_for_as_far_as_they_are_over() -> None:
    asked = question(GREEN, {Month(2026, 8): published(Month(2026, 8))}, NOW, 6)

    assert asked == Question(months("2026-08"), months("2026-09", "2026-10"), ())


def test_no_more_months_are_asked_for_than_tell_whether_there_are_too_many() -> None:
    asked = question(GREEN, {Month(2019, 1): published(Month(2019, 1))}, NOW, 2)

    assert asked.following == months("2019-02", "2019-03", "2019-04")


def test_a_source_that_has_ended_has_nothing_behind_its_last_month() -> None:
    ended = replace(GREEN, releases=(replace(GREEN.releases[0], last=Month(2019, 3)),))

    assert question(ended, {Month(2019, 2): published(Month(2019, 2))}, NOW, 6).following == months("2019-03")
    # A month that the source no longer has isn't asked for.
    assert question(ended, {Month(2020, 2): published(Month(2020, 2))}, NOW, 6) == Question((), (), ())


def test_gaps_lie_between_published_months() -> None:
    states = {month: published(month) for month in months("2026-05", "2026-08", "2026-10")}
    states[Month(2026, 6)] = MonthState()

    assert question(GREEN, states, NOW, 6).gaps == months("2026-06", "2026-07", "2026-09")


def test_a_file_of_no_month_is_followed_by_nothing() -> None:
    assert question(ZONES, {WHOLE: published(WHOLE, source=ZONES)}, NOW, 6) == Question((WHOLE,), (), ())


# --- Published files

AUGUST = Month(2026, 8)


def of_published(found: FileVersion | Presence, state: MonthState | None = None, **options: Any) -> Decision:
    return decided({AUGUST: state or published(AUGUST)}, {AUGUST: found}, **options)["2026-08"]


def test_a_file_that_is_as_it_was_published_is_left() -> None:
    assert of_published(ONE).verdict is Verdict.UNCHANGED


def test_a_file_that_is_another_one_is_loaded_again() -> None:
    decision = of_published(OTHER)

    assert (decision.verdict, decision.loads) == (Verdict.CHANGED, True)
    assert decision.reason == (
        'there is another version than the published one: ETag "other", 2 bytes; before: ETag "one", 1 bytes'
    )
    assert decision.run_id is not None
    assert decision.run_id.startswith("watch__postgres__green__2026-08__")


def test_a_version_in_which_a_run_has_found_the_published_bytes_is_no_change() -> None:
    """A content delivery network that stores a file again gives it another tag."""
    assert of_published(OTHER, published(AUGUST, ONE, OTHER)).verdict is Verdict.UNCHANGED
    # Also if the ledger can't say so: the headers of GET were others than those of HEAD.
    run_id = of_published(OTHER).run_id or ""
    found = {AUGUST: LastLoad("unchanged", run_id=f"taxi {run_id}")}
    again = of_published(OTHER, runs={run_id: "success"}, last=found)
    assert (again.verdict, again.run_id) == (Verdict.UNCHANGED, run_id)


@pytest.mark.parametrize("found", [None, ("abandoned", "taxi {}"), ("unchanged", "taxi watch__before")])
def test_a_run_that_somebody_has_ended_between_two_tasks_has_found_nothing(found: tuple[str, str] | None) -> None:
    """Airflow calls it a success; the ledger has an attempt that was cut off, or none of this run."""
    run_id = of_published(OTHER).run_id or ""
    last = {AUGUST: LastLoad(found[0], run_id=found[1].format(run_id))} if found else {}
    decision = of_published(OTHER, runs={run_id: "success"}, last=last)

    assert (decision.verdict, decision.loads) == (Verdict.CHANGED, True)
    assert decision.run_id == run_id.removesuffix("1") + "2"


def test_a_file_that_comes_back_after_another_one_is_loaded_again() -> None:
    first = of_published(OTHER).run_id
    later = replace(published(AUGUST), published_at=LOADED_AT + timedelta(days=9))

    assert of_published(OTHER, later, runs={first or "": "success"}).verdict is Verdict.CHANGED


def test_files_of_two_addresses_are_compared_by_size() -> None:
    elsewhere = published(AUGUST, FileVersion('"tag of another mirror"', "yesterday", 1), at="http://other.test/x")

    assert of_published(ONE, elsewhere).verdict is Verdict.UNCHANGED
    assert of_published(OTHER, elsewhere).verdict is Verdict.CHANGED


@pytest.mark.parametrize("state", [published(AUGUST, FileVersion()), MonthState(LOADED_AT)])
def test_a_mirror_that_names_no_version_lets_nothing_be_decided(state: MonthState) -> None:
    decision = of_published(ONE, state)

    assert (decision.verdict, decision.loads) == (Verdict.UNKNOWN, False)
    assert decision.reason.startswith("nothing tells whether it has changed")


@pytest.mark.parametrize("presence", [Presence.ABSENT, Presence.HIDDEN])
def test_a_published_file_that_has_vanished_is_only_named(presence: Presence) -> None:
    decision = of_published(presence)

    assert (decision.verdict, decision.loads) == (Verdict.VANISHED, False)
    assert decision.reason.endswith(f"({presence.value}); its rows stay")


def test_a_published_file_that_could_not_be_asked_for_is_asked_for_again() -> None:
    decision = of_published(Presence.UNKNOWN)

    assert (decision.verdict, decision.loads) == (Verdict.UNKNOWN, False)
    assert decision.reason.endswith("The next look asks again")


# --- Files that follow

SEPTEMBER = Month(2026, 9)


def following(found: Mapping[Month, FileVersion | Presence], **options: Any) -> dict[str, Decision]:
    return decided({AUGUST: published(AUGUST), **options.pop("states", {})}, {AUGUST: ONE, **found}, **options)


def test_a_month_that_is_there_is_loaded_also_behind_one_that_is_not() -> None:
    found = following({Month(2026, 10): OTHER})

    assert [each.verdict.value for each in found.values()] == ["unchanged", "waiting", "new"]
    assert found["2026-09"].reason.startswith("not published yet, expected by 2026-12-30")
    assert [each.loads for each in found.values()] == [False, False, True]


def test_a_month_that_should_be_there_is_named() -> None:
    found = following({}, now=datetime(2026, 12, 30, 12, tzinfo=timezone.utc))

    assert (found["2026-09"].verdict, found["2026-10"].verdict) == (Verdict.OVERDUE, Verdict.WAITING)
    assert found["2026-09"].reason.startswith("it should be there since 2026-12-30")


def test_a_month_that_could_not_be_asked_for_is_asked_for_again() -> None:
    assert following({SEPTEMBER: Presence.UNKNOWN})["2026-09"].verdict is Verdict.UNKNOWN


def test_more_months_than_are_caught_up_with_are_named_and_not_loaded() -> None:
    """Somebody who has loaded 2019 doesn't want all that came since."""
    states = {Month(2019, 1): published(Month(2019, 1))}
    there: dict[Month, FileVersion | Presence] = {Month(2019, number): ONE for number in range(1, 9)}

    found = decided(states, there, catch_up=3)

    assert [month for month, each in found.items() if each.verdict is Verdict.BEHIND] == [
        "2019-02", "2019-03", "2019-04", "2019-05"
    ]  # fmt: skip
    assert not any(each.loads or each.run_id for each in found.values())
    assert found["2019-02"].reason == (
        "of the months that follow 2019-01, more than 3 are there, so none is loaded. To load: 2019-02 to 2026-07"
    )
    assert sum(each.loads for each in decided(states, there, catch_up=7).values()) == 7
    assert not any(each.loads for each in decided(states, there, catch_up=0).values())


def test_of_months_that_nobody_has_asked_for_those_are_advised_that_should_be_there() -> None:
    """The run of a month whose file isn't there would fail."""
    there: dict[Month, FileVersion | Presence] = {Month(2026, number): ONE for number in range(7, 11)}

    for last, advised in ((5, "2026-06 to 2026-07"), (6, "2026-07"), (7, "2026-08"), (8, "2026-09")):
        month = Month(2026, last)
        found = decided({month: published(month)}, {**there, month.next(): ONE}, catch_up=0)
        assert found[str(month.next())].reason.endswith(f"To load: {advised}")


def test_the_backfill_of_a_source_that_has_ended_ends_with_it() -> None:
    ended = replace(GREEN, releases=(replace(GREEN.releases[0], last=Month(2019, 4)),))
    january = Month(2019, 1)
    there: dict[Month, FileVersion | Presence] = {Month(2019, number): ONE for number in range(1, 5)}

    found = decided({january: published(january, source=ended)}, there, source=ended, catch_up=1)

    assert found["2019-02"].reason.endswith("To load: 2019-02 to 2019-04")


def test_a_gap_is_named_with_the_command_that_closes_it() -> None:
    found = decided({Month(2026, 8): published(AUGUST), Month(2026, 10): published(Month(2026, 10))}, {})

    assert found["2026-09"].verdict is Verdict.GAP
    assert found["2026-09"].reason == "between published months, and not published. To load: 2026-09"
    assert found["2026-09"].url is None


# --- Runs


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_month_whose_run_is_under_way_gets_no_other(state: str) -> None:
    run_id = following({SEPTEMBER: ONE})["2026-09"].run_id or ""
    decision = following({SEPTEMBER: ONE}, runs={run_id: state})["2026-09"]

    assert (decision.verdict, decision.run_id) == (Verdict.LOADING, run_id)
    assert f"{run_id} of taxi is {state}" in decision.reason


def test_a_month_that_any_run_loads_is_left_to_it() -> None:
    begun = LastLoad("running", started_at=NOW - timedelta(hours=3))
    lost = replace(begun, started_at=NOW - timedelta(days=2))
    ended = replace(begun, state="abandoned")

    for last, verdict in ((begun, Verdict.LOADING), (lost, Verdict.NEW), (ended, Verdict.NEW)):
        assert following({SEPTEMBER: ONE}, last={SEPTEMBER: last})["2026-09"].verdict is verdict


@pytest.mark.parametrize("end", ["failed", "success"])
def test_a_month_whose_runs_do_not_publish_it_is_given_up_and_named(end: str) -> None:
    runs = dict[str, str]()
    for _ in range(MOST_RUNS):
        decision = following({SEPTEMBER: ONE}, runs=runs)["2026-09"]
        assert decision.loads
        assert decision.run_id not in runs
        runs[decision.run_id or ""] = end

    given_up = following({SEPTEMBER: ONE}, runs=runs)["2026-09"]
    assert (given_up.verdict, given_up.loads) == (Verdict.FAILED, False)
    assert f"{MOST_RUNS} runs of taxi have not published it" in given_up.reason
    # Another version of the file has another chance.
    assert following({SEPTEMBER: OTHER}, runs=runs)["2026-09"].loads


def test_a_file_that_is_held_back_gets_one_run() -> None:
    """It would delete too many published rows: another run would find the same ones."""
    last = {AUGUST: LastLoad("failed", f"accept that: {ACCEPTING_CONF}")}
    # What was held back before may have been another version.
    first = of_published(OTHER, last=last)
    assert first.loads

    decision = of_published(OTHER, last=last, runs={first.run_id or "": "failed"})
    assert (decision.verdict, decision.loads, decision.run_id) == (Verdict.FAILED, False, first.run_id)
    assert "would delete too many published rows" in decision.reason
    assert "its log has the command that accepts that" in decision.reason
    # A run that has failed for another reason gets a second one.
    assert of_published(OTHER, runs={first.run_id or "": "failed"}).loads


def test_a_run_id_names_warehouse_source_month_and_version() -> None:
    ids = {
        run_id_of(warehouse, GREEN, month, version, state)
        for warehouse in ("postgres", "bigquery")
        for month in (AUGUST, SEPTEMBER)
        for version in (ONE, OTHER)
        for state in (None, published(AUGUST))
    }

    assert len(ids) == 16
    assert run_id_of("postgres", GREEN, AUGUST, ONE, None) == run_id_of("postgres", GREEN, AUGUST, ONE, MonthState())


def test_new_months_come_before_changed_ones_and_the_rest_later() -> None:
    def one(month: Month, verdict: Verdict) -> Decision:
        return Decision(
            GREEN, month, verdict, "why", run_id="an id" if verdict in (Verdict.NEW, Verdict.CHANGED) else None
        )

    decisions = [
        one(Month(2019, 1), Verdict.CHANGED),
        one(Month(2019, 2), Verdict.CHANGED),
        one(Month(2019, 3), Verdict.UNCHANGED),
        one(Month(2019, 4), Verdict.NEW),
        one(Month(2019, 5), Verdict.NEW),
    ]

    found = limited(decisions, 3)

    assert [each.verdict.value for each in found] == ["changed", "later", "unchanged", "new", "new"]
    assert found[1].run_id is None
    assert found[1].reason == "why; left to the next look: one look starts 3 runs at most"
    assert limited(decisions, 4) == decisions
