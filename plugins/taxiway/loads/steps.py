"""The steps of a load, in their order.

A DAG has one task for each, with its name. One more before the month is published is one line and its function:
``load_dag(source, "postgres", steps=before_publishing(Step("check_sums", check_sums)))``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taxiway.loads import month
from taxiway.loads.step_names import CHECK, CREATE, DISCARD, DOWNLOAD, HASH, PUBLISH, STAGE, UPLOAD


@dataclass(frozen=True)
class Step:
    """One step of a load.

    :param name: of its task, and in the ledger
    :param run: does it; is given the warehouse, the outputs of the steps that it needs, and what it goes on with after
        a wait. See :mod:`taxiway.loads.month`
    :param needs: the steps before whose outputs it needs, the nearest first
    :param leaves_tables: whether it leaves something that the load's end has to drop
    :param may_wait: whether it may start a job of the warehouse, and wait for that
    """

    name: str
    run: Callable[..., Any]
    needs: tuple[str, ...] = ()
    leaves_tables: bool = False
    may_wait: bool = False


DOWNLOAD_MONTH = Step(DOWNLOAD, month.download_month)
UPLOAD_MONTH = Step(UPLOAD, month.upload_month, needs=(DOWNLOAD,), leaves_tables=True)
CREATE_MAIN_TABLE = Step(CREATE, month.create_main_table, needs=(UPLOAD,))
STAGE_MONTH = Step(STAGE, month.stage_month, needs=(UPLOAD, DOWNLOAD), leaves_tables=True, may_wait=True)
HASH_ROWS = Step(HASH, month.hash_rows, needs=(STAGE, DOWNLOAD), leaves_tables=True, may_wait=True)
CHECK_MONTH = Step(CHECK, month.check_month)
MERGE_MONTH = Step(PUBLISH, month.merge_month, may_wait=True)

STEPS = (
    DOWNLOAD_MONTH,
    UPLOAD_MONTH,
    CREATE_MAIN_TABLE,
    STAGE_MONTH,
    HASH_ROWS,
    CHECK_MONTH,
    MERGE_MONTH,
)
"""The steps of every DAG, in their order; a warehouse may do without some."""

DROP_STAGING = Step(DISCARD, month.drop_staging)
"""What is done at a load's end, however it ended. The ledger says nothing of it."""


def before_publishing(*added: Step) -> tuple[Step, ...]:
    """Return the steps with others before the one that publishes.

    :param added: the others
    """
    return (*STEPS[:-1], *added, STEPS[-1])
