"""The lines and sentences of ``airflow taxi verify --course``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from taxiway.compare.known_figures import (
    BYTES,
    DIFFERS,
    INCOMPLETE,
    NOT_LOADED,
    OTHER_FILES,
    RIGHT,
    SAMPLES,
    Checked,
)
from taxiway.messages import counted
from taxiway.orchestration.load_command import how_to_load, load_command
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.sources.months import Month, in_words
from taxiway.sources.source import Source


def record(checked: Checked, source: Source, warehouse: str, held_back: Collection[Month]) -> dict[str, Any]:
    """Return the line of a figure, with its sentence.

    :param source: that it is about
    :param warehouse: that was looked at
    :param held_back: months whose last load would delete too many published rows
    """
    figure = checked.figure
    return {
        "source": figure.source,
        "months": in_words(checked.months),
        "file": figure.format,
        "figure": figure.measure,
        "question": figure.question,
        "compared": f"{len(checked.counted)} of {len(checked.months)}",
        "found": checked.found,
        "expected": figure.value,
        "result": checked.result,
        "note": _sentence(checked, source, warehouse, held_back),
    }


def nothing_compared(checked: Checked, source: Source, warehouse: str) -> str:
    """Say that there was nothing to compare, and how to load something.

    :param checked: one of the figures
    :param source: that it is about
    """
    return (
        f"Nothing was compared: {WAREHOUSES[warehouse].title} holds no real month with a known figure. To load some: "
        f"{load_command(source, checked.months, warehouse)}"
    )


def _sentence(checked: Checked, source: Source, warehouse: str, held_back: Collection[Month]) -> str:
    """Say what is to be known or done about a figure; nothing if it is right."""
    figure = checked.figure
    where = f"{figure.source} {in_words(checked.months)}"
    if checked.result == RIGHT or (checked.result == NOT_LOADED and figure.question is None):
        return ""
    if checked.result == DIFFERS:
        return f"{where}: {_difference(checked, source, warehouse, held_back)}"
    if checked.result == SAMPLES:
        return (
            f"{where}: not compared, {in_words(checked.samples)} {'hold' if checked.samples[1:] else 'holds'} sample "
            f"data. To put the real files in their place: {load_command(source, checked.samples, warehouse)}"
        )
    if checked.result == OTHER_FILES:
        others = ", ".join(f"{month} is loaded from {name}" for month, name in (checked.others or {}).items())
        return f"{where}: not compared, the figure is about files such as {figure.filename(figure.first)}: {others}"
    load = f"To load: {load_command(source, checked.missing, warehouse)}"
    if checked.result == INCOMPLETE:
        missing = f"{len(checked.missing)} missing: {in_words(checked.missing)}"
        return (
            f"{where}: not compared, {len(checked.counted)} of {len(checked.months)} months loaded, {missing}. {load}"
        )
    return f"{where}: not compared, not loaded. {load}"


def _difference(checked: Checked, source: Source, warehouse: str, held_back: Collection[Month]) -> str:
    figure, recorded = checked.figure, checked.recorded
    if figure.first != figure.last:
        months = "the months that differ have lines of their own below"
        return f"found {checked.found} {figure.measure}, expected {figure.value}; {months}"
    said = (
        f"found {checked.found} {figure.measure} of {figure.filename(figure.first)}, expected {figure.value}, "
        f"as in {figure.origin}"
    )
    again = how_to_load(source, [figure.first], warehouse, held_back=held_back)
    if figure.measure != BYTES and recorded and recorded.rows != checked.found:
        return f"{said}. The ledger has {counted(recorded.rows, 'row')}: somebody has changed the table. {again}"
    if figure.measure != BYTES and recorded and recorded.rejected:
        return (
            f"{said}. {counted(recorded.rejected, 'row')} of the file could not be read: look in the table "
            f"rejected_rows for the lines, each with the reason"
        )
    return (
        f"{said}. It was loaded as its file is: look in taxiway.months at the address that it came from, and whether "
        f"its publisher has replaced it. {again}"
    )
