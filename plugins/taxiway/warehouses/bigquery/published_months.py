"""The published months of BigQuery, as a comparison asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from taxiway.errors import WarehouseError
from taxiway.loads.attempts import is_over
from taxiway.loads.load import Load
from taxiway.loads.published_months import HasEnded, PublishedMonth, PublishedMonths, TableSize, Verified, misfits
from taxiway.messages import counted
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.statements import statement

MOST_ATTEMPTS = 50
"""How many attempts of a month are looked at, the latest ones, to find one that goes on."""


def _is_trusted(source: Source, run_id: str) -> bool:
    """Take no attempt for ended that goes on in the ledger."""
    return False


@dataclass(frozen=True)
class BigQueryMonths(PublishedMonths):
    """The published months of BigQuery.

    :param warehouse: BigQuery
    :param purpose: what they are read for, for messages
    :param has_ended: asks Airflow; by itself, the ledger is trusted
    """

    warehouse: Jobs
    name: str = "BigQuery"
    purpose: str = "compare"
    has_ended: HasEnded = _is_trusted

    def asking(self, has_ended: HasEnded) -> BigQueryMonths:
        """Return the same, which asks whether the runs of attempts have ended that go on in the ledger."""
        return replace(self, has_ended=has_ended)

    def table_size(self, source: Source) -> TableSize:
        """Return what the published months of a source take up: no query, and so without a charge.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        warehouse = replace(self.warehouse, where=f"{source.name}: {self.purpose}, the main table")
        with _as_reader(warehouse):
            table = warehouse.find_table(f"{warehouse.settings.dataset_name}.{source.main_table}")
        return TableSize(table.num_bytes if table else None)

    def _ask(self, what: str, name: str, values: Mapping[str, Any], **names: Any) -> Sequence[Mapping[str, Any]]:
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
            filename = recorded.filename.removesuffix(".gz")
            (held,) = warehouse.run(
                statement(
                    "find_changed_rows",
                    # Until a load brings the table over, version 0.1.0's rows have the name with .gz.
                    {"month": month.first_day, "filename": filename, "other_filename": f"{filename}.gz"},
                    main_table=main_table,
                    columns=columns,
                    others=[column for column in source.columns if column not in columns],
                )
            )
        rows, changed = int(held["row_count"]), int(held["changed_rows"])
        said = [f"{main_table} holds {counted(rows, 'row')} of the month, the ledger has {recorded.rows}"] * (
            rows != recorded.rows
        )
        said += [misfits(changed)] * bool(changed)
        examples = held["examples"]
        return Verified(rows, recorded.rows, "; ".join(said), changed=examples.split(",") if examples else ())

    def count_files(self, source: Source, months: Sequence[Month]) -> Mapping[Month, Mapping[str, int]]:
        """Count the rows of months by unpacked file: version 0.1.0's main table has the names with ``.gz``.

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
                counts, name = found.setdefault(Month.of(row["month"]), {}), row["filename"].removesuffix(".gz")
                counts[name] = counts.get(name, 0) + row["row_count"]
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
        now = datetime.now(timezone.utc)
        return any(
            attempt.state == "running"
            and not is_over(attempt.state, attempt.started_at, now)
            and not self.has_ended(source, attempt.run_id)
            for attempt in self.attempts(source, month, MOST_ATTEMPTS)
        )

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
