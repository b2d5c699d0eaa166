"""The steps of a load, in their order. Tasks and the ledger call them by these names."""

from __future__ import annotations

from taxiway.errors import InvalidArgumentError

FETCH = "download_month"
STAGE = "stage_month"
PUBLISH = "merge_month"

STEPS = (FETCH, "upload_month", "create_main_table", STAGE, "hash_rows", "check_month", PUBLISH)
"""All steps that record what they do; a warehouse may do without some of them."""


def comes_before(step: str, other: str) -> bool:
    """Say whether a step comes before another one.

    :raises InvalidArgumentError: one of them isn't a step
    """
    return _position(step) < _position(other)


def _position(step: str) -> int:
    if step not in STEPS:
        raise InvalidArgumentError(f"step {step!r}: expected one of {', '.join(STEPS)}: add it to loads/steps.py")
    return STEPS.index(step)
