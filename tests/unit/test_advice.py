"""What errors advise: it leads on, wherever the DAG is paused and whatever was tried before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from taxiway.paths import ROOT


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the package, with its place; what an f-string fills in is left out."""
    for path in sorted((ROOT / "plugins" / "taxiway").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        pieces = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if id(node) in pieces:
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
            if text:
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", text


def test_who_is_told_to_clear_a_task_is_told_to_clear_those_behind_it() -> None:
    """Alone it would run, and its run fail again: the tasks behind it stay as they failed."""
    advice = [(place, text) for place, text in texts() if re.search(r"[Cc]lear the task\b", text)]
    assert len(advice) > 10
    assert [place for place, text in advice if "with its downstream tasks" not in " ".join(text.split())] == []
