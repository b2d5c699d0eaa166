"""How the board asks a ledger: one question at a time, shared, and never waited for long."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta, timezone

import pytest

from taxiway.board import asking
from taxiway.board.asking import Answer, Ledger
from taxiway.orchestration.warehouses import WAREHOUSES

BEGAN = datetime(2026, 11, 29, tzinfo=timezone.utc)


class Slow(Ledger):
    """A ledger whose answers are numbered, and come when the test lets them."""

    def __init__(self, warehouse: str = "postgres") -> None:
        super().__init__(warehouse)
        self.may_answer = threading.Semaphore(0)
        self.asked = 0
        self.problem = ""

    def _read(self) -> Answer:
        self.asked += 1
        answer = Answer(BEGAN + timedelta(days=self.asked), problem=self.problem)
        assert self.may_answer.acquire(timeout=60)
        return answer


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the board, in seconds; a test sets it."""
    now = [0.0]
    monkeypatch.setattr(asking, "monotonic", lambda: now[0])
    return now


def number(answer: Answer) -> int:
    return (answer.asked_at - BEGAN).days


def test_requests_that_come_together_share_an_answer(times: list[float]) -> None:
    ledger = Slow()

    async def ask() -> list[int]:
        waiting = [asyncio.create_task(ledger.months()) for _ in range(5)]
        await asyncio.sleep(0)
        ledger.may_answer.release()
        return [number(await each) for each in waiting]

    assert asyncio.run(ask()) == [1] * 5
    times[0] = 0.9
    assert number(asyncio.run(ledger.months())) == 1


def test_an_answer_of_before_a_load_has_ended_is_not_given(times: list[float]) -> None:
    ledger = Slow("bigquery")
    for _ in range(2):
        ledger.may_answer.release()

    for hours, asked in ((23, 1), (25, 2), (47, 2)):
        assert number(asyncio.run(ledger.months(BEGAN + timedelta(hours=hours)))) == asked
    assert number(asyncio.run(ledger.months())) == 2


def test_an_answer_is_given_again_while_the_ledger_is_asked_but_not_for_long(times: list[float]) -> None:
    ledger = Slow()
    ledger.may_answer.release()
    asyncio.run(ledger.months())

    times[0] = 1.1
    assert number(asyncio.run(ledger.months())) == 1

    async def late() -> int:
        waiting = asyncio.create_task(ledger.months())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        ledger.may_answer.release()
        return number(await waiting)

    times[0] = 5.1
    assert asyncio.run(late()) == 2
    assert ledger.asked == 2


def test_an_error_that_nobody_expects_is_of_one_question(times: list[float]) -> None:
    class Broken(Slow):
        def _read(self) -> Answer:
            if not self.asked:
                self.asked += 1
                raise OSError("a source's file is gone")
            return super()._read()

    ledger = Broken()
    with pytest.raises(OSError, match="is gone"):
        asyncio.run(ledger.months())

    times[0] = 1.1
    ledger.may_answer.release()
    assert number(asyncio.run(ledger.months())) == 2


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_a_problem_is_not_given_again_when_it_may_be_over(warehouse: str, times: list[float]) -> None:
    ledger = Slow(warehouse)
    ledger.problem = "down"
    ledger.may_answer.release()
    assert asyncio.run(ledger.months()).problem == "down"

    ledger.problem = ""
    times[0] = 1.1
    ledger.may_answer.release()
    assert number(asyncio.run(ledger.months())) == 2


def test_a_ledger_that_is_slow_is_a_sentence_and_its_thread_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.05)
    ledger = Slow()
    threads = threading.active_count()

    async def ask() -> list[Answer]:
        return await asyncio.gather(*(ledger.months() for _ in range(50)))

    answers = asyncio.run(ask())
    assert {answer.problem.partition(":")[0] for answer in answers} == {"Postgres hasn't answered within 0 seconds"}
    assert ledger.asked == 1
    assert threading.active_count() <= threads + 1
    ledger.may_answer.release()
