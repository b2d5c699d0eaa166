"""The tests' browser: this machine's Chromium, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
STILL = """
const sheet = new CSSStyleSheet();
sheet.replaceSync("*, ::before, ::after { animation: none !important; transition: none !important }");
document.adoptedStyleSheets.push(sheet);
"""
"""Has a page move nothing: a browser without a graphics card draws each picture of what turns, and pulses."""

WAIT = 120_000
"""Milliseconds that a page may take on a busy machine."""


def find_program() -> str | None:
    """Return the Chromium of this machine; None if there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def start_browser() -> Iterator[Browser]:
    """Start the browser; without one, skip the test, or fail it if all tests must run."""
    program = find_program()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: .ci/run installs it, and this test must run there")
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
        try:
            expect.set_options(timeout=WAIT)
            yield browser
        finally:
            browser.close()
