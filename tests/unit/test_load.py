"""What a load is called, and which steps it has."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from taxiway.loads.load import Load
from taxiway.loads.step_names import STEP_NAMES
from taxiway.loads.steps import STEPS, Step, before_publishing
from taxiway.sources.months import Month
from taxiway.sources.source import Layout, Source


@dataclass(frozen=True)
class InFolder(Load):
    """A load into a folder."""

    folder: str = ""


def test_a_load_is_named_by_source_month_and_run(green: Source) -> None:
    load = Load(replace(green, yaml_sha256="ab"), Month(2019, 3), "manual__1")

    assert load.where == "green 2019-03"
    assert load.name == "taxiway green 2019-03 manual__1"
    assert load.month_name == "green_2019_03"
    assert load.filename == green.filename(Month(2019, 3))
    assert load.download_name == green.download_name(Month(2019, 3)) == f"{load.filename}.gz"
    assert load.run_key == hashlib.sha256(b"manual__1").hexdigest()[:12]
    assert load.rules == {"layout": green.layout_of(Month(2019, 3)).name, "row_id_version": 1, "yaml_sha256": "ab"}


def test_rejected_lines_are_found_first_by_the_step_that_reads_the_file_first(green: Source) -> None:
    load = Load(green, Month(2019, 3), "manual__1")

    assert load.first_step == "upload_month"
    assert replace(load, steps=("download_month", "stage_month")).first_step == "stage_month"


def test_another_class_has_the_same_load(green: Source) -> None:
    began = datetime(2026, 3, 1, tzinfo=timezone.utc)
    load = Load(green, Month(2019, 3), "manual__1", 2, True, began, ("download_month",))

    assert InFolder.of(load, folder="x") == InFolder(
        green, Month(2019, 3), "manual__1", 2, True, began, ("download_month",), folder="x"
    )


def test_steps_have_the_names_of_the_ledger_in_its_order() -> None:
    names = [step.name for step in STEPS]
    assert [name for name in names if name in STEP_NAMES] == list(STEP_NAMES)
    for position, step in enumerate(STEPS):
        assert set(step.needs) <= set(names[:position])


def test_steps_are_added_before_the_one_that_publishes() -> None:
    first, second = Step("check_sums", print), Step("tell", print)

    assert before_publishing(first, second) == (*STEPS[:-1], first, second, STEPS[-1])


def test_a_load_has_the_layout_of_its_file(green: Source) -> None:
    *rest, last = green.layout_of(Month(2019, 3)).columns
    source = replace(green, columns=(*rest, replace(last, optional=True)))
    load = Load(source, Month(2019, 3), "manual__1")
    lacking = Layout(tuple(rest))

    assert load.layout == load.in_layout("another").layout == Layout(source.columns)
    assert load.in_layout(lacking.name).layout == lacking
    assert load.in_layout(lacking.name).rules["layout"] == lacking.name
    assert replace(load.in_layout(lacking.name), layout_name=None) == load
