"""What the loads update, in Airflow's words: the published months of a source in each warehouse.

Their addresses begin with ``x-``. For any other scheme, Airflow asks every provider how to write it, and so imports
Google's, which takes a second in each task. Name and address belong together. If an asset's address changes and its
name doesn't, the asset stays inactive until a scheduler has run, and a task that updates it fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset

from taxiway.loads.load import Load
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.sources.source_file import SUMMARY_TABLE

SUMMARY = Asset(name=f"postgres_{SUMMARY_TABLE}", uri=f"x-taxiway://postgres/{SUMMARY_TABLE}")
"""What the monthly reports update: the summary of the published months."""


def asset_of(warehouse: str, source: Source) -> Asset:
    """Return what a load of a source into a warehouse updates.

    :param warehouse: its name, as the ledger has it
    """
    return Asset(name=f"{warehouse}_{source.main_table}", uri=f"x-taxiway://{warehouse}/{source.main_table}")


def announce(context: Mapping[str, Any], warehouse: str, load: Load, published: Mapping[str, Any]) -> Asset:
    """Let a task say which month it has published, and from which file.

    The Asset has two events, which say the same. One has the month as its partition key: Airflow sets off the DAGs
    that follow partitions, such as the reports. The other one has no key, because an event with a key sets off no
    other DAG: docs/decisions/0023-an-event-with-its-month-and-one-without.md. A file of no month has no key.

    :param context: Airflow's context of the task
    :param warehouse: where the month is published
    :param load: what was published
    :param published: what :func:`taxiway.loads.month.merge_month` returned
    :return: the Asset, which has to be among the task's outlets when it ends
    """
    asset = asset_of(warehouse, load.source)
    event = context["outlet_events"][asset]
    event.extra.update(
        {
            "source": load.source.name,
            "month": str(load.month),
            "file": load.download_name,
            **{name: published[name] for name in ("rows", "rejected", "digest")},
        }
    )
    if not load.month.is_whole:
        event.partition_keys.update((str(load.month), None))
    return asset


def announce_summary(context: Mapping[str, Any], source: Source, month: Month) -> None:
    """Let a task say of which month it has written the summary: ``green|2019-03`` is the partition key.

    :param context: Airflow's context of the task
    :param source: the source
    :param month: the month
    """
    context["outlet_events"][SUMMARY].add_partitions(f"{source.name}|{month}")


def announced(context: Mapping[str, Any]) -> dict[str, set[str] | None]:
    """Return which months the Assets' events that set a run off are about, by source; nothing for any other run.

    Airflow gives a run the events up to the one that set it off. Events between that one and the run start no run, and
    belong to no run before the next one. So they are looked up among the task's inlets.

    :param context: Airflow's context of the task
    :return: months as ``YYYY-MM``; None if an event of the source doesn't say
    """
    events = [event for of_asset in (context.get("triggering_asset_events") or {}).values() for event in of_asset]
    if events:
        since = min(event.timestamp for event in events).isoformat()
        inlets = context.get("inlet_events") or {}
        events += [event for asset in inlets for event in inlets[asset].after(since)]
    found: dict[str, set[str] | None] = {}
    for event in events:
        source, month = event.extra.get("source"), event.extra.get("month")
        if not isinstance(source, str):
            continue
        months = found.setdefault(source, set())
        if not isinstance(month, str):
            found[source] = None
        elif months is not None:
            months.add(month)
    return found
