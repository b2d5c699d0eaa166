"""The picture of a command: what stays on its terminal, and nothing that a browser fetches."""

from __future__ import annotations

import ast
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from taxiway.paths import ROOT

PICTURE = ROOT / "bin" / "picture"
RECORDED = "\x1b[2Kerased\r\n\x1b[2K\x1b[32mloaded\x1b[0m 12 <months>\r\n\r\nwhat follows\r\n"


@pytest.mark.parametrize("options", [[], ["--whole"]])
def test_a_recorded_terminal_becomes_a_picture(options: list[str]) -> None:
    command = [sys.executable, str(PICTURE), "make demo", *options]
    done = subprocess.run(command, input=RECORDED, capture_output=True, text=True, check=True)

    picture = ElementTree.fromstring(done.stdout)
    drawn = "".join(picture.itertext()).replace("\xa0", " ")
    assert "$ make demo" in drawn
    assert "loaded 12 <months>" in drawn
    assert "erased" not in drawn
    assert ("what follows" in drawn) == bool(options)
    # Each line has its own place: rich gives the last one none, and cuts its underscores.
    places = {text.get("clip-path") for text in picture.iter() if text.get("clip-path") and (text.text or "").strip()}
    assert len(places) == 2 + len(options)
    assert places <= {f"url(#{each.get('id')})" for each in picture.iter()}
    assert "@font-face" not in done.stdout
    assert "url(http" not in done.stdout.replace('"', "").replace("'", "")


def test_it_uses_no_private_module() -> None:
    names = [
        node.module or ""
        for node in ast.walk(ast.parse(PICTURE.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    assert "rich.console" in names
    assert [name for name in names if "._" in name] == []
