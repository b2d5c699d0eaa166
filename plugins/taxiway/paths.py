"""Where the repository keeps what the code reads."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository's root, the folder that holds ``dags``, ``plugins`` and ``include``."""

SOURCES_FOLDER = ROOT / "include" / "sources"
"""One YAML file a source."""

SQL_FOLDER = ROOT / "include" / "sql"
"""The Jinja SQL files, one folder an engine."""

FIGURES_FILE = ROOT / "include" / "known_figures.csv"
"""What published months must hold, as the course and the TLC say."""

LEARN_FOLDER = Path(os.environ.get("AIRFLOW_HOME") or ROOT) / ".taxiway" / "learn"
"""What the learning DAGs write: the files of their runs, and the environments of their tasks."""

REPORTS_TEMPLATES = ROOT / "include" / "reports"
"""The Jinja templates of the reports' pages."""

REPORTS_FOLDER = ROOT / "reports"
"""Where reports are written, unless the Variable ``taxiway_reports_folder`` says otherwise."""

ALERT_TEMPLATES = ROOT / "include" / "alerts"
"""The Jinja template of mails."""
