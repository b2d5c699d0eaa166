"""Where the local installation keeps its things: one home, the repository itself unless said otherwise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from taxiway.paths import ROOT


@dataclass(frozen=True)
class Home:
    """An ``AIRFLOW_HOME`` and the folders in it.

    :param root: the folder that holds ``dags``, ``plugins``, ``config`` and ``include``
    """

    root: Path

    @classmethod
    def current(cls) -> Home:
        """Return the home that ``AIRFLOW_HOME`` names, else the repository's root."""
        return cls(Path(os.environ.get("AIRFLOW_HOME") or ROOT))

    @property
    def state(self) -> Path:
        """Everything that is not Airflow's own: Postgres, cache, samples, passwords."""
        return self.root / ".taxiway"

    @property
    def postgres(self) -> Path:
        """Data folder of the embedded Postgres."""
        return self.state / "postgres"

    @property
    def samples(self) -> Path:
        """Generated sample months."""
        return self.state / "samples"

    @property
    def airflow_config(self) -> Path:
        """Airflow's settings, written by the setup."""
        return self.root / "airflow.cfg"

    @property
    def passwords(self) -> Path:
        """Names and passwords of the web UI."""
        return self.state / "passwords.json"

    @property
    def services(self) -> Path:
        """What runs in the background: process ids, address."""
        return self.state / "services.json"

    @property
    def service_logs(self) -> Path:
        """Logs of the background processes."""
        return self.root / "logs" / "services"
