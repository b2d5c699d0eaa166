"""Where the repository keeps what the code reads."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository's root, the folder that holds ``dags``, ``plugins`` and ``include``."""

SOURCES_FOLDER = ROOT / "include" / "sources"
"""One YAML file a source."""

SQL_FOLDER = ROOT / "include" / "sql"
"""The Jinja SQL files, one folder an engine."""
