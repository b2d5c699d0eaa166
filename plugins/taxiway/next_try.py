"""What an error says of the next try: only who runs a step knows whether there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_AGAIN = re.compile(r"\b([Tt])he task is tried again")
"""How an error says that a retry may fix it."""

_LAST = "his was the last try: clear the task with its downstream tasks to try again"

_CLEAR = re.compile(r"\bclear the task with its downstream tasks")
"""How an error of a task says that a person has to begin the step again."""

_is_last: ContextVar[bool] = ContextVar("is_last", default=False)
_again: ContextVar[str] = ContextVar("again", default="")
"""What a person does to ask again; empty: a task asks."""


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


@contextmanager
def of_command(again: str = "give the command again") -> Iterator[None]:
    """Say that a person asks, and no task is at work, for the errors that are raised meanwhile.

    :param again: what the person does to ask again
    """
    before = _again.set(again)
    try:
        yield
    finally:
        _again.reset(before)


def with_next_step(message: str) -> str:
    """Return an error's message; on a task's last try it says how to go on, not that the task is tried again.

    The same error of a command says to give the command again, and that of a page to load it again.

    :param message: the message
    """
    if again := _again.get():
        message = _AGAIN.sub(lambda found: again[0].upper() + again[1:] if found[1] == "T" else again, message)
        return _CLEAR.sub(again, message)
    return _AGAIN.sub(rf"\1{_LAST}", message) if _is_last.get() else message
