"""What an error says of the next try: only who runs a step knows whether there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_AGAIN = re.compile(r"\b([Tt])he task is tried again")
"""How an error says that a retry may fix it."""

_LAST = "his was the last try: clear the task with its downstream tasks to try again"

_is_last: ContextVar[bool] = ContextVar("is_last", default=False)


@contextmanager
def last_try(is_last: bool) -> Iterator[None]:
    """Say whether the try is a task's last one, for the errors that are raised meanwhile.

    :param is_last: whether Airflow gives the task no other try
    """
    before = _is_last.set(is_last)
    try:
        yield
    finally:
        _is_last.reset(before)


def with_next_step(message: str) -> str:
    """Return an error's message; on a task's last try it says how to go on, not that the task is tried again.

    :param message: the message
    """
    return _AGAIN.sub(rf"\1{_LAST}", message) if _is_last.get() else message
