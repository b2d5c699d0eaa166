"""On a task's last try an error says how to go on, not that the task is tried again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from taxiway import next_try
from taxiway.errors import DownloadError, TransientWarehouseError
from taxiway.next_try import last_try, of_command, with_next_step
from taxiway.orchestration.failures import TEMPORARY_RUN, last_try_of
from taxiway.paths import ROOT

LAST = "his was the last try: clear the task with its downstream tasks to try again"


@pytest.mark.parametrize("kind", [DownloadError, TransientWarehouseError])
def test_an_error_says_whether_there_is_another_try(kind: type[Exception]) -> None:
    message = "nothing was published; the task is tried again. If that goes on failing, wait"
    with last_try(True):
        assert str(kind(message)) == f"nothing was published; t{LAST}. If that goes on failing, wait"
        assert str(kind("No answer. The task is tried again")) == f"No answer. T{LAST}"
        assert str(kind("nothing of tries")) == "nothing of tries"
    with last_try(False):
        assert str(kind(message)) == message
    assert str(kind(message)) == message


def test_an_error_of_a_command_says_to_give_the_command_again() -> None:
    with of_command():
        assert str(DownloadError("No answer. The task is tried again")) == "No answer. Give the command again"
        said = str(TransientWarehouseError("none: the task is tried again. If not, wait"))
        assert said == "none: give the command again. If not, wait"
        refused = str(TransientWarehouseError("grant it, and clear the task with its downstream tasks"))
        assert refused == "grant it, and give the command again"
    assert str(DownloadError("The task is tried again")) == "The task is tried again"


@pytest.mark.parametrize(
    ("try_number", "max_tries", "run_id", "is_last"),
    [
        (1, 3, "manual__1", False),
        (3, 3, "manual__1", False),
        (4, 3, "manual__1", True),
        (1, 0, "manual__1", True),
        (0, 3, f"{TEMPORARY_RUN}1", True),
    ],
)
def test_airflow_counts_the_tries(try_number: int, max_tries: int, run_id: str, is_last: bool) -> None:
    """The first try is 1; a task has as many after it as it has retries."""
    context: Any = {
        "ti": SimpleNamespace(try_number=try_number, max_tries=max_tries),
        "dag_run": SimpleNamespace(run_id=run_id),
    }
    with last_try_of(context):
        assert (with_next_step("the task is tried again") != "the task is tried again") is is_last


def messages() -> Iterator[str]:
    """Yield the texts of the code that loads months, docstrings left out."""
    for path in (ROOT / "plugins" / "taxiway").rglob("*.py"):
        if path.samefile(next_try.__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
                yield node.value


def test_every_message_says_it_in_the_words_that_are_replaced() -> None:
    """What would be said in other words would be untrue on the last try."""
    found = [text for text in messages() if re.search(r"\bis (tried|retried) again|\bis retried", text)]
    assert len(found) > 20
    with last_try(True):
        assert [text for text in found if "tried again" in with_next_step(text)] == []
