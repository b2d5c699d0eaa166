"""How long what no month needs is kept: the Variable ``taxiway_retention``, checked."""

from __future__ import annotations

from typing import Annotated

from airflow.sdk import Variable
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from taxiway.orchestration.json_variable import parse

VARIABLE = "taxiway_retention"

Days = Annotated[int, Field(ge=7, le=36500)]
"""A run that failed may be cleared and go on days later: what it needs is kept a week at least."""


class Retention(BaseModel):
    """Days that something is kept.

    :param cache: files in the cache that nobody has used
    :param rejected_rows: rejected lines of attempts whose rows aren't published any more
    :param loads: attempts in the ledger
    :param airflow: runs, tasks and logs of events in Airflow's metadata
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cache: Days = 180
    rejected_rows: Days = 180
    loads: Days = 730
    airflow: Days = 365


def retention() -> Retention:
    """Return what the Variable says, and the defaults for the rest.

    :raises SettingError: it can't be used
    """
    text = Variable.get(VARIABLE, default=None)
    problem = f"{VARIABLE} can't be used, and nothing was deleted"
    expected = f"days, 7 at least, such as {Retention().model_dump_json()}. docs/maintenance.md explains it"
    return parse(text, TypeAdapter(Retention), problem, expected) if text and text.strip() else Retention()
