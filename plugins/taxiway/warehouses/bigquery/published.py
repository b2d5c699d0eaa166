"""Whether the main table still holds what the ledger says of a month."""

from __future__ import annotations

from taxiway.loads.publication import Published
from taxiway.messages import counted
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.main_table import add_new_columns, bring_over, found_columns, main_columns
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables


def difference_to(jobs: Jobs, tables: CloudTables, published: Published) -> str | None:
    """Say how the main table differs from what the ledger says of the month; None if it is as it was published."""
    source, main_table, expected = tables.source, tables.main_table, published.rows_staged
    found = bring_over(jobs, tables)
    if found is None:
        return f"there is no table {main_table}, the ledger has {counted(expected, 'row')} of the month"
    held_columns = found_columns(add_new_columns(jobs, tables, found))
    if lacking := [f"{name} {kind}" for name, kind in main_columns(source) if (name, kind) not in held_columns]:
        return f"{main_table} lacks the column {lacking[0]}, the ledger has {counted(expected, 'row')} of the month"
    values = {"month": tables.month.first_day, "filename": tables.filename, "other_filename": tables.filename}
    layout = tables.in_layout(published.layout).layout
    others = [column for column in source.columns if column not in layout.columns]
    (held,) = jobs.run(
        statement("find_changed_rows", values, main_table=main_table, columns=layout.columns, others=others)
    )
    if int(held["row_count"]) != expected:
        return f"{main_table} holds {counted(int(held['row_count']), 'row')} of the month, the ledger has {expected}"
    if int(held["changed_rows"]):
        return (
            f"{main_table} holds {counted(int(held['changed_rows']), 'row')} of the month whose values were changed "
            f"by hand, the ledger has {expected} as they were published"
        )
    return None
