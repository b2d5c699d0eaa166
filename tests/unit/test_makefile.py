"""What the Makefile's targets call."""

from __future__ import annotations

import subprocess

import pytest

from taxiway.core.paths import ROOT


@pytest.mark.parametrize(("given", "called"), [((), "taxiway.local.psql"), (("AS=postgres",), '--as "postgres"')])
def test_psql_is_opened_as_the_loader_unless_somebody_is_named(given: tuple[str, ...], called: str) -> None:
    """GNU make has a variable AS of its own: the assembler."""
    printed = subprocess.run(
        ["make", "--dry-run", "psql", *given], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert printed.strip().splitlines()[-1].rstrip().endswith(called)
