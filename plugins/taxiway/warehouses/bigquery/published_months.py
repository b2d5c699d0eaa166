"""The published months of BigQuery, as a comparison asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from taxiway.errors import WarehouseError
from taxiway.loads.load import Load
from taxiway.loads.published_months import (
    LastLoad,
    LoggedAttempt,
    MonthState,
    PastLoad,
    PublishedMonth,
    Recorded,
    Rejected,
    RejectedLine,
    TableSize,
    Verified,
)
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.statements import statement


@dataclass(frozen=True)
class BigQueryMonths:
    """The published months of BigQuery.

    :param warehouse: BigQuery
    :param purpose: what they are read for, for messages
    """

    warehouse: Jobs
    name: str = "BigQuery"
    purpose: str = "compare"

    def months(self, source: Source) -> Mapping[Month, Recorded]:
        """Return the published months of a source, each as the ledger has it.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        rows = self._of_ledger(source, "find_published_months")
        return {
            Month.of(row["month"]): Recorded(
                row["sha256"],
                row["row_count"],
                row["filename"],
                row["rows_rejected"] or 0,
                row["unpacked_bytes"],
                row["layout"],
            )
            for row in rows
        }

    def states(self, source: Source) -> Mapping[Month, MonthState]:
        """Return what the ledger says of each month of a source that was ever to be loaded.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        return MonthState.of(self._of_ledger(source, "find_month_states"))

    def last_loads(self, sources: Sequence[Source]) -> Mapping[str, Mapping[Month, LastLoad]]:
        """Return how the last attempt of each month ended, by source; a source that nobody has loaded is left out.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        names = [source.name for source in sources]
        return LastLoad.of(self._ask(", ".join(names), "list_last_loads", {"sources": names}))

    def attempts(self, source: Source, month: Month, most: int) -> Sequence[LoggedAttempt]:
        """Return the last attempts to load a month, the latest one first.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        values = {"source": source.name, "month": month.first_day, "most": most}
        rows = self._ask(f"{source.name} {month}", "list_attempts", values)
        return [LoggedAttempt.of(row) for row in rows]

    def rejected_lines(
        self, source: Source, month: Month, load_id: str, most: int, *, by_reason: bool = False
    ) -> Sequence[RejectedLine]:
        """Return lines that an attempt could not read.

        :param load_id: of the attempt; of one that isn't of this month, there is no line
        :param most: how many lines
        :param by_reason: whether they are sorted by reason, and not by line
        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        values = {"source": source.name, "month": month.first_day, "load_id": load_id, "most": most}
        rows = self._ask(f"{source.name} {month}", "list_rejected_rows", values, by_reason=by_reason)
        return [RejectedLine(**row) for row in rows]

    def past_loads(self, source: Source) -> Sequence[PastLoad]:
        """Return what the last loads have taken that published rows: those of the source first.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        return PastLoad.of(self._of_ledger(source, "list_past_loads"))

    def rejected(self, source: Source, month: Month) -> Rejected | None:
        """Return what the last attempt of a month that has read its file has rejected; None if there is none.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        values = {"source": source.name, "month": month.first_day}
        return Rejected.of(self._ask(f"{source.name} {month}", "list_rejects", values))

    def table_size(self, source: Source) -> TableSize:
        """Return what the published months of a source take up: no query, and so without a charge.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        warehouse = replace(self.warehouse, where=f"{source.name}: {self.purpose}, the main table")
        with _as_reader(warehouse):
            table = warehouse.find_table(f"{warehouse.settings.dataset_name}.{source.main_table}")
        return TableSize(table.num_bytes if table else None)

    def _of_ledger(self, source: Source, name: str) -> Sequence[Mapping[str, Any]]:
        """Ask the ledger for the months of a source; none without a ledger."""
        return self._ask(source.name, name, {"source": source.name})

    def _ask(self, what: str, name: str, values: Mapping[str, Any], **names: Any) -> Sequence[Mapping[str, Any]]:
        """Ask the ledger; it has no rows if there is none.

        :param what: what is asked for, for messages
        """
        warehouse = replace(self.warehouse, where=f"{what}: {self.purpose}, the ledger")
        with _as_reader(warehouse):
            months = ledger.find_months(warehouse)
            if months is None:
                return ()
            bound = {**values, "destination": ledger.DESTINATION} if "load_id" not in values else values
            names = {**names, "dataset": warehouse.settings.dataset_name, "is_earlier": ledger.is_earlier(months)}
            return warehouse.run(statement(name, bound, **names))

    def months_of_table(self, source: Source) -> Sequence[Month]:
        """Return none: which partitions a table has would be another query, and the ledger knows those of loads."""
        return ()

    def verify(self, source: Source, month: Month) -> Verified:
        """Compare the rows of a month with what the ledger says: each row's id is computed anew from its values.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        recorded = self.months(source).get(month)
        warehouse = self._of(source, month)
        main_table = f"{warehouse.settings.dataset_name}.{source.main_table}"
        with _as_reader(warehouse):
            if recorded is None or warehouse.find_table(main_table) is None:
                found = f"there is no table {main_table}" if recorded else "the ledger doesn't know the month"
                return Verified(0, recorded.rows if recorded else None, found)
            columns = Load(source, month, self.purpose).in_layout(recorded.layout).layout.columns
            (held,) = warehouse.run(
                statement(
                    "find_changed_rows",
                    {"month": month.first_day, "filename": source.filename(month)},
                    main_table=main_table,
                    columns=columns,
                    others=[column for column in source.columns if column not in columns],
                )
            )
        rows, changed = int(held["row_count"]), int(held["changed_rows"])
        said = [f"{main_table} holds {rows} rows of the month, the ledger has {recorded.rows}"] * (
            rows != recorded.rows
        )
        said += [f"the ids of {changed} rows don't fit their values"] * bool(changed)
        return Verified(rows, recorded.rows, "; ".join(said))

    def count_files(self, source: Source, months: Sequence[Month]) -> Mapping[Month, Mapping[str, int]]:
        """Count the rows of months by file.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        warehouse = replace(self.warehouse, where=f"{source.name}: {self.purpose}, the main table")
        main_table = f"{warehouse.settings.dataset_name}.{source.main_table}"
        found: dict[Month, dict[str, int]] = {}
        with _as_reader(warehouse):
            if not months or warehouse.find_table(main_table) is None:
                return {}
            days = [month.first_day for month in months]
            for row in warehouse.run(statement("count_files", main_table=main_table, months=days)):
                found.setdefault(Month.of(row["month"]), {})[row["filename"]] = row["row_count"]
        return found

    @contextmanager
    def reading(self, source: Source, month: Month) -> Iterator[BigQueryMonth]:
        """Open a month to read it.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        warehouse = self._of(source, month)
        with _as_reader(warehouse):
            yield BigQueryMonth(warehouse, source, month)

    def is_loading(self, source: Source, month: Month) -> bool:
        """Say whether a load is under way: a month is published a moment before the ledger says so."""
        warehouse = self._of(source, month)
        values = {"source": source.name, "month": month.first_day, "destination": ledger.DESTINATION}
        with _as_reader(warehouse):
            attempts = warehouse.run(statement("find_loads", values, dataset=warehouse.settings.dataset_name))
        return any(attempt["state"] == "running" for attempt in attempts)

    def _of(self, source: Source, month: Month) -> Jobs:
        """Return BigQuery whose errors and jobs name a month."""
        labels = {**self.warehouse.labels, "taxiway_source": source.name, "taxiway_month": str(month)}
        return replace(self.warehouse, where=f"{source.name} {month}: {self.purpose}", labels=labels)


@dataclass(frozen=True)
class BigQueryMonth(PublishedMonth):
    """A published month of BigQuery.

    :param warehouse: BigQuery
    :param source: the source
    :param month: the month
    """

    warehouse: Jobs
    source: Source
    month: Month

    def _rows(self, name: str, values: Mapping[str, Any] | None = None, **names: Any) -> list[dict[str, Any]]:
        main_table = f"{self.warehouse.settings.dataset_name}.{self.source.main_table}"
        bound = {"month": self.month.first_day, **(values or {})}
        return self.warehouse.run(statement(name, bound, main_table=main_table, **names))


@contextmanager
def _as_reader(warehouse: Jobs) -> Iterator[None]:
    """If Google refuses, name the roles that reading needs: a load needs other roles."""
    try:
        yield
    except WarehouseError as error:
        refusals = getattr(error.__cause__, "errors", None) or [{}]
        if refusals[0].get("reason") not in ("accessDenied", "forbidden"):
            raise
        raise WarehouseError(
            f"{warehouse.where}, project {warehouse.settings.project}, {warehouse.settings.location}: Google Cloud "
            f"says: {refusals[0].get('message')} ({refusals[0]['reason']}). To compare, the account of the connection "
            f"taxi_gcp needs BigQuery Job User on the project and BigQuery Data Viewer on the dataset: docs/bigquery.md"
        ) from error.__cause__
