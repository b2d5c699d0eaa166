"""What the loads update, in Airflow's words: the published months of a source in each warehouse.

Their addresses begin with ``x-``. For any other scheme, Airflow asks every provider how to write it, and so imports
Google's, which takes a second in each task. Name and address belong together. If an asset's address changes and its
name doesn't, the asset stays inactive until a scheduler has run, and a task that updates it fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset, AssetAlias

from taxiway.sources.months import Month
from taxiway.sources.source import Source


def asset_of(warehouse: str, source: Source) -> Asset:
    """Return what a load of a source into a warehouse updates.

    :param warehouse: its name, as the ledger has it
    """
    return Asset(name=f"{warehouse}_{source.main_table}", uri=f"x-taxiway://{warehouse}/{source.main_table}")


def announce(outlets: Sequence[Any], context: Mapping[str, Any], warehouse: str, source: Source, month: Month) -> None:
    """Say with a task's Assets which month it has published.

    A task that loads any source has an AssetAlias among its outlets: it stands for the Asset of the month's source, so
    that whatever follows this Asset follows that task, too.

    :param outlets: the task's
    :param context: Airflow's context of the task
    :param warehouse: where the month is published
    """
    extra = {"source": source.name, "month": str(month)}
    for outlet in outlets:
        event = context["outlet_events"][outlet]
        if isinstance(outlet, AssetAlias):
            event.add(asset_of(warehouse, source), extra=extra)
        else:
            event.extra.update(extra)


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
