"""What goes wrong on demand, and the record of what was asked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stand_ins.bigquery.errors import BigQueryError


@dataclass(frozen=True)
class RecordedRequest:
    """One request that arrived.

    :param authorized: whether it had an Authorization header; its value isn't kept
    """

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] | None
    authorized: bool
    user_agent: str


@dataclass
class _Failure:
    error: BigQueryError
    at_insert: bool
    containing: str
    times: int


@dataclass
class _Answer:
    kind: str
    method: str
    path_containing: str
    times: int


@dataclass
class _Hold:
    containing: str
    after: int
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class HeldJob:
    """A job that stays RUNNING until it is released."""

    def __init__(self, hold: _Hold) -> None:
        self._hold = hold

    def wait_until_running(self) -> None:
        if not self._hold.reached.wait(120):
            raise TimeoutError(f"no job with {self._hold.containing!r} in its configuration came within 120 s")

    def release(self) -> None:
        self._hold.released.set()


class Faults:
    """Scripts what goes wrong next. Each fault is used up by the requests or jobs that it hits.

    ``denied`` has the permissions that the account doesn't have on any table, as far as it is asked for them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: deque[_Failure] = deque()
        self._answers: deque[_Answer] = deque()
        self._holds: deque[_Hold] = deque()
        self._all_holds: list[_Hold] = []
        self.polls_until_done = 0
        self.denied: set[str] = set()

    def fail_next_job(
        self, reason: str, message: str | None = None, *, at_insert: bool = False, containing: str = "", times: int = 1
    ) -> None:
        """Let a job fail.

        :param reason: BigQuery's word: ``backendError``, ``quotaExceeded``, ``rateLimitExceeded``, ``accessDenied``, …
        :param at_insert: answer the insert itself with the error's HTTP code, in place of a job that ends with it
        :param containing: only a job whose configuration, as JSON, contains this
        :param times: how many jobs
        """
        error = BigQueryError(reason, message or f"{reason}: made to fail by the test")
        with self._lock:
            self._failures.append(_Failure(error, at_insert, containing, times))

    def answer(self, kind: str, *, method: str = "GET", path_containing: str = "/jobs/", times: int = 1) -> None:
        """Let an answer go wrong, after the request was carried out.

        :param kind: ``503``, ``500``, ``429``, ``412``, ``403``, ``401`` or ``404`` (that HTTP code), or ``drop``: the
            connection is closed with no answer
        :param method: of the requests that it concerns
        :param path_containing: part of their path
        """
        with self._lock:
            self._answers.append(_Answer(kind, method, path_containing, times))

    def lose_insert_answer(self) -> None:
        """The next job runs, and its insert's answer is lost: a client that tries again meets 409 duplicate."""
        self.answer("drop", method="POST", path_containing="/jobs")

    def hold_next_job(self, containing: str = "", *, after: int = 0) -> HeldJob:
        """Keep a job RUNNING until it is released. A MERGE works then on the table that it saw when it was held.

        :param after: how many of its statements, for a script, are done before; without it, it hasn't done anything
        """
        hold = _Hold(containing, after)
        with self._lock:
            self._holds.append(hold)
            self._all_holds.append(hold)
        return HeldJob(hold)

    def clear(self) -> None:
        """Forget every fault that has not come up, and release every job."""
        with self._lock:
            self._failures.clear()
            self._answers.clear()
            self._holds.clear()
            for hold in self._all_holds:
                hold.released.set()
            self._all_holds.clear()
            self.polls_until_done = 0
            self.denied.clear()

    # For the server

    def take_failure(self, configuration: str, *, at_insert: bool) -> BigQueryError | None:
        with self._lock:
            for failure in self._failures:
                if failure.at_insert == at_insert and failure.containing in configuration:
                    failure.times -= 1
                    if failure.times == 0:
                        self._failures.remove(failure)
                    return failure.error
        return None

    def take_answer(self, method: str, path: str) -> str | None:
        with self._lock:
            for answer in self._answers:
                if answer.method == method and answer.path_containing in path:
                    answer.times -= 1
                    if answer.times == 0:
                        self._answers.remove(answer)
                    return answer.kind
        return None

    def wait_where_held(
        self,
        configuration: str,
        held: threading.Event,
        cancelled: threading.Event,
        *,
        done: int = 0,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        with self._lock:
            found = (each for each in self._holds if each.containing in configuration and each.after == done)
            hold = next(found, None)
            if hold is None:
                return
            self._holds.remove(hold)
        before()
        held.set()
        hold.reached.set()
        while not hold.released.wait(0.05):
            if cancelled.is_set():
                return
