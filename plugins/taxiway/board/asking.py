"""Asks the ledger of a warehouse for the board.

A warehouse has one thread here, which has one connection at a time, and one that asks what the watch has seen. Requests
that come together share an answer. A request waits for :data:`PATIENCE` and holds no thread of the API server
meanwhile: a warehouse that is down, slow or frozen costs a sentence, and nothing else. The API server ends without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

from airflow.sdk.exceptions import AirflowException
from sqlalchemy.exc import SQLAlchemyError

from taxiway.errors import SourceConfigError, TaxiwayError
from taxiway.loads.month_state import Watched
from taxiway.loads.published_months import LastLoad, PublishedMonths
from taxiway.messages import printable, said_by_driver
from taxiway.next_try import of_command
from taxiway.orchestration.standing import UNKNOWN_CHANGES, seen_by_watch
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, read_sources

PATIENCE = 6.0
"""Seconds that a request waits for the ledger: longer than Postgres is given to answer."""

WATCH_PATIENCE = 2.0
"""Seconds that an answer waits, when the ledger has given its own, for what the watch has seen."""

KEPT_SECONDS = {"postgres": 1.0, "bigquery": 60.0}
"""How long an answer is given to other requests, too: BigQuery bills each question."""

PROBLEM_KEPT_SECONDS = 1.0

STALE_SECONDS = {"postgres": 5.0, "bigquery": 600.0}
"""How old an answer may be that is given while the ledger is asked again; the page says of when it is."""

MOST_WRITTEN = 20
"""How many texts are kept from one answer to the next: users with other rights see other DAGs."""

PURPOSE = "board"

T = TypeVar("T")


class NoAnswerError(TaxiwayError):
    """A warehouse that hasn't answered in time, or Airflow itself."""


class AbsentError(TaxiwayError):
    """A warehouse that nobody has set up."""


@dataclass(frozen=True)
class Answer:
    """What the ledger of a warehouse says of all months.

    :param asked_at: when
    :param sources: all sources
    :param loads: how the last load of each month ended, by source
    :param watched: what the watch has seen of their files, by source
    :param problem: why there is nothing to say, as a sentence; empty if there is
    :param is_absent: whether nobody has set the warehouse up
    :param notes: sentences about what isn't known
    :param written: what has been written of it for the page, by the DAGs that are shown
    :param before: what was written last of this ledger, by the DAGs that are shown: most of it may be the same
    """

    asked_at: datetime
    sources: tuple[Source, ...] = ()
    loads: Mapping[str, Mapping[Month, LastLoad]] = field(default_factory=dict)
    watched: Mapping[str, Mapping[Month, Watched]] = field(default_factory=dict)
    problem: str = ""
    is_absent: bool = False
    notes: tuple[str, ...] = ()
    written: dict[frozenset[str], bytes] = field(default_factory=dict, compare=False)
    before: dict[frozenset[str], Any] = field(default_factory=dict, compare=False)


class _Thread:
    """A thread that answers one question after another; a process that ends doesn't wait for it.

    :param name: its name
    """

    def __init__(self, name: str) -> None:
        """Assign the parameter; the thread begins with the first question."""
        self._name = name
        self._asked: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._thread: Thread | None = None

    def submit(self, question: Callable[[], T]) -> Future[T]:
        """Have a question answered behind those before."""
        future = Future[T]()
        self._asked.put((future, question))
        if self._thread is None:
            self._thread = Thread(target=self._answer, name=self._name, daemon=True)
            self._thread.start()
        return future

    def _answer(self) -> None:
        while True:
            future, question = self._asked.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(question())
            except BaseException as error:
                future.set_exception(error)


class Ledger:
    """The ledger of one warehouse.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    """

    def __init__(self, warehouse: str) -> None:
        """Assign the parameter; the threads begin with the first question."""
        self.warehouse = warehouse
        self._thread = _Thread(f"taxiway-board-{warehouse}")
        self._watch = _Thread(f"taxiway-board-watch-{warehouse}")
        self._asked: Future[Answer] | None = None
        self._asked_at = 0.0
        self._before: Answer | None = None
        self._before_at = 0.0
        self._written: dict[frozenset[str], Any] = {}

    async def months(self, since: datetime | None = None) -> Answer:
        """Return what the ledger says of all months; a sentence if it can't say it.

        :param since: when months have changed: the ledger is asked again if its answer is of before
        """
        now = monotonic()
        if self._asked is None or (self._asked.done() and self._is_over(self._asked, now, since)):
            if self._asked is not None and self._asked.exception() is None:
                self._before, self._before_at = self._asked.result(), self._asked_at
            self._asked, self._asked_at = self._thread.submit(self._read), now
        before, is_young = self._before, now <= self._before_at + STALE_SECONDS[self.warehouse]
        if before is not None and (before.problem or (since is not None and before.asked_at < since)):
            before = None
        if before is not None and is_young and not self._asked.done():
            return before
        try:
            return await self._wait(self._asked)
        except NoAnswerError as error:
            return Answer(datetime.now(timezone.utc), problem=str(error))

    def _is_over(self, asked: Future[Answer], now: float, since: datetime | None) -> bool:
        """Say whether an answer is no longer given to others: a problem may soon be over."""
        kept = PROBLEM_KEPT_SECONDS
        if asked.exception() is None:
            answer = asked.result()
            if since is not None and answer.asked_at < since:
                return True
            if answer.is_absent or not answer.problem:
                kept = KEPT_SECONDS[self.warehouse]
        return now > self._asked_at + kept

    async def ask(self, question: Callable[[PublishedMonths], T]) -> T:
        """Ask something else.

        :param question: is given the opened warehouse
        :raises TaxiwayError: the warehouse can't answer, or not in time
        """

        def asking() -> T:
            with self._opened() as months:
                return question(months)

        future = self._thread.submit(asking)
        try:
            return await self._wait(future)
        finally:
            future.cancel()  # what hasn't begun yet, nobody waits for any more

    async def _wait(self, future: Future[T]) -> T:
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), PATIENCE)
        except asyncio.TimeoutError:
            title = WAREHOUSES[self.warehouse].title
            raise NoAnswerError(
                f"{title} hasn't answered within {PATIENCE:.0f} seconds: wait a moment, and load the page again. If "
                f"that goes on, look whether {title} works, and at the connection {self._conn_id}"
            ) from None

    @property
    def _conn_id(self) -> str:
        return WAREHOUSES[self.warehouse].conn_id

    def _read(self) -> Answer:
        sources, errors = _sources(_stamp())
        if len(self._written) > MOST_WRITTEN:
            self._written.clear()
        answer = Answer(datetime.now(timezone.utc), sources, notes=tuple(map(str, errors)), before=self._written)
        watched = self._watch.submit(self._watched)
        try:
            with self._opened() as months:
                answer = replace(answer, loads=months.last_loads(sources))
        except TaxiwayError as error:
            watched.cancel()  # if it hasn't begun yet
            return replace(answer, problem=str(error), is_absent=isinstance(error, AbsentError))
        try:
            return replace(answer, watched=watched.result(WATCH_PATIENCE))
        except (TaxiwayError, NotInTimeError) as error:
            watched.cancel()
            said = str(error) or "Postgres hasn't answered in time"
            return replace(answer, notes=(*answer.notes, f"{UNKNOWN_CHANGES}: {said}"))

    def _watched(self) -> Mapping[str, Mapping[Month, Watched]]:
        with _in_our_words():
            return seen_by_watch(self.warehouse, PURPOSE)

    @contextmanager
    def _opened(self) -> Iterator[PublishedMonths]:
        """Open the warehouse.

        :raises TaxiwayError: it can't be opened, or can't answer
        """
        kind = WAREHOUSES[self.warehouse]
        with _in_our_words(), kind.quick_months(kind.conn_id, PURPOSE) as opened:
            if opened is None:
                raise AbsentError(f"{kind.title} isn't set up: docs/bigquery.md says how, if you want to use it")
            yield opened


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Let an error say what somebody who looks at a page can do."""
    with of_command("load the page again"):
        try:
            yield
        except SQLAlchemyError as error:
            raise NoAnswerError(
                f"Airflow's metadata database doesn't answer: {said_by_driver(error)}. Load the page again"
            ) from error
        except AirflowException as error:
            raise NoAnswerError(f"Airflow says: {printable(str(error), 500)}. Load the page again") from error


def _stamp() -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a source's file does: reading all takes as long as asking the ledger."""
    found = ((path.name, path.stat()) for path in sorted(SOURCES_FOLDER.glob("*.yaml")))
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


@lru_cache(maxsize=1)
def _sources(stamp: tuple[tuple[str, int, int], ...]) -> tuple[tuple[Source, ...], tuple[SourceConfigError, ...]]:
    return read_sources(SOURCES_FOLDER)
