"""What the conformance tests need of a warehouse beside its protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from taxiway.loads.load import Load
from taxiway.loads.maintenance import Upkeep
from taxiway.loads.warehouse import Warehouse
from taxiway.sources.source import Source


@dataclass(frozen=True)
class Entry:
    """One attempt, as the ledger shows it to people.

    :param url: of its file
    :param counts: rows that were read, rejected and staged
    :param changes: rows that publishing has inserted, deleted and left unchanged
    """

    run_id: str
    number: int
    step: str
    state: str
    error: str | None
    url: str | None
    counts: tuple[int | None, ...]
    changes: tuple[int | None, ...]
    warnings: tuple[str, ...]

    @property
    def stands(self) -> tuple[str, int, str]:
        """Whose it is, which attempt of its run, and how it stands."""
        return self.run_id, self.number, self.state


class Harness(ABC):
    """A warehouse of the tests' own, which every test of a module uses, each with months of its own."""

    name: ClassVar[str]
    """As the ledger and ``orchestration/warehouses.py`` have it."""

    def __init__(self) -> None:
        """Lose no worker yet."""
        self._lost: list[Any] = []

    @classmethod
    @abstractmethod
    def made(cls, request: pytest.FixtureRequest) -> AbstractContextManager[Harness]:
        """Make one that is empty, for a module."""

    @abstractmethod
    def open(self, load: Load) -> AbstractContextManager[Warehouse]:
        """Open the warehouse for one step, as a task does, over a session of its own."""

    @abstractmethod
    def upkeep(self) -> AbstractContextManager[Upkeep]:
        """Open the warehouse for maintenance."""

    @abstractmethod
    def ask(self, statement: str) -> list[Any]:
        """Return the rows of a statement; ``$taxi.`` stands for the schema of the ledger."""

    @abstractmethod
    def do(self, statement: str) -> None:
        """Run a statement that changes rows or tables, as somebody does by hand."""

    @abstractmethod
    def main_table(self, source: Source) -> str:
        """The main table, as a statement names it."""

    @abstractmethod
    def ready_table(self, load: Load) -> str:
        """The rows that are ready to be published, as a statement names it."""

    @abstractmethod
    def of_month(self, load: Load) -> str:
        """A condition on the main table's rows of a month."""

    @abstractmethod
    def columns_of(self, table: str) -> list[str]:
        """The columns of a table."""

    @abstractmethod
    def has_table(self, table: str) -> bool:
        """Say whether there is a table, named as a statement names it."""

    @abstractmethod
    def left_behind(self, load: Load) -> list[str]:
        """Names of what runs of a month have left beside the main table: tables, and objects of a run."""

    @abstractmethod
    def make_old(self, load: Load) -> None:
        """Let the attempts of a run have begun 25 hours earlier."""

    @property
    @abstractmethod
    def load_order(self) -> str:
        """The column of the ledger that numbers attempts as they began."""

    @abstractmethod
    def create_table(self, table: str) -> None:
        """Create a table of somebody else's, with the columns unique_row_id and mine, both integers."""

    @abstractmethod
    def end_session(self, warehouse: Any) -> None:
        """Let the session of a step end with its worker."""

    # What follows is the same in every warehouse.

    def ids(self, load: Load) -> list[str]:
        """The ids of a month in the main table, in order."""
        if not self.has_table(self.main_table(load.source)):
            return []
        found = self.ask(f"SELECT unique_row_id FROM {self.main_table(load.source)} WHERE {self.of_month(load)}")
        return sorted(str(row[0]).replace("-", "") for row in found)

    def attempts(self, load: Load) -> list[Entry]:
        """Every attempt to load a month, in the order in which they began."""
        found = self.ask(
            "SELECT run_id, attempt, step, state, error, url, rows_read, rows_rejected, rows_staged, rows_inserted, "
            f"rows_deleted, rows_unchanged, warnings FROM $taxi.loads WHERE {self._of_ledger(load)} "
            f"ORDER BY {self.load_order}"
        )
        return [Entry(*row[:6], tuple(row[6:9]), tuple(row[9:12]), tuple(row[12])) for row in found]

    def rejects(self, load: Load) -> list[Any]:
        """Line number, line and reason of the rows of a month that were rejected."""
        return self.ask(
            "SELECT line_number, raw_line, reason FROM $taxi.rejected_rows "
            f"WHERE {self._of_ledger(load)} ORDER BY line_number, reason"
        )

    def change_row(self, load: Load, row_id: str, change: str) -> None:
        """Change a published row by hand.

        :param change: an assignment
        """
        self.do(f"UPDATE {self.main_table(load.source)} SET {change} WHERE {self._is(load, row_id)}")

    def delete_row(self, load: Load, row_id: str) -> None:
        """Delete a published row by hand."""
        self.do(f"DELETE FROM {self.main_table(load.source)} WHERE {self._is(load, row_id)}")

    def lose_ready_row(self, load: Load, row_id: str) -> None:
        """Delete a row that is ready to be published."""
        self.do(f"DELETE FROM {self.ready_table(load)} WHERE unique_row_id = '{row_id}'")

    def add_ready_row(self, load: Load, row_id: str, new_id: str) -> None:
        """Copy a row that is ready to be published, under another id."""
        table = self.ready_table(load)
        names = ", ".join(name for name in self.columns_of(table) if name != "unique_row_id")
        self.do(
            f"INSERT INTO {table} (unique_row_id, {names}) "
            f"SELECT '{new_id}', {names} FROM {table} WHERE unique_row_id = '{row_id}'"
        )

    def lose_worker(self, load: Load, step: str) -> None:
        """Begin a step that nobody ends: its worker is gone, and has said nothing."""
        opened = self.open(load)
        warehouse = opened.__enter__()
        begun = warehouse.step(step)
        begun.__enter__()
        self._lost += [begun, opened]
        self.end_session(warehouse)

    def forget_lost_workers(self) -> None:
        """Let go of the steps that nobody has ended."""
        self._lost.clear()

    def _is(self, load: Load, row_id: str) -> str:
        return f"{self.of_month(load)} AND unique_row_id = '{row_id}'"

    def _of_ledger(self, load: Load) -> str:
        return f"source = '{load.source.name}' AND month = DATE '{load.month.first_day}'"


@contextmanager
def made(kind: type[Harness], request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Make a harness for a module."""
    with kind.made(request) as harness:
        try:
            yield harness
        finally:
            harness.forget_lost_workers()
