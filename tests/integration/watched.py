"""An Airflow whose taxi_watch looks, and a mirror that notes each request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taxiway.loads.row_identity import digest
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.integration.scheduled import Scheduled
from tests.loading import begin_load, check_month, hash_rows, ids, merge_month, source_file, stage_month
from tests.mirror_faults import FaultyMirror, good

TABLE = "SELECT source || ' ' || to_char(month, 'YYYY-MM'), decision FROM taxiway.watched_files"


@dataclass
class Watched(Scheduled):
    """Airflow, and a mirror that notes each request.

    :param folder: of the files that the mirror has
    """

    mirror: FaultyMirror
    folder: Path

    def publish(self, source: Source, month: Month, **sample: Any) -> Path:
        """Put a sample month on the mirror."""
        path = self.folder / source.file_path(month)
        write_sample_month(source, month, path, rows=40, **sample)
        self.mirror.put(f"/{source.file_path(month)}", path.read_bytes())
        return path

    def load(self, source: Source, month: Month, **sample: Any) -> Path:
        """Put a sample month on the mirror, and load it from there by the steps of the DAG taxi, without a run."""
        path = self.publish(source, month, **sample)
        answer = good(path.read_bytes())
        url = f"{self.mirror.url}/{source.file_path(month)}"
        file = replace(source_file(path), url=url, etag=answer.etag, last_modified=answer.last_modified)
        tables = LoadTables(source, month, f"taxi first__{source.name}__{month}")
        with self.taxi.connect() as connection:
            begin_load(connection, tables, lambda: file)
            hash_rows(connection, tables, stage_month(connection, tables, file))
            check_month(connection, tables)
            merge_month(connection, tables)
            drop_staging(connection, tables)
        return path

    def look(self, run_id: str, state: str = "success", **conf: Any) -> dict[str, str]:
        """Let taxi_watch look; return what it decided, by source and month. It asks by HEAD alone."""
        before = len(self.mirror.seen)
        self.trigger("taxi_watch", run_id, conf)
        assert self.ended(run_id) == state
        # The runs that it has started ask, too, by GET, and for the files that they load.
        loaded = {self.path_of(each) for each in self.started(run_id)}
        asked = [seen for seen in self.mirror.seen[before:] if seen.path not in loaded or seen.method == "HEAD"]
        assert {seen.method for seen in asked} == {"HEAD"}
        assert len({seen.path for seen in asked}) == len(asked)
        return dict(self.taxi.query(TABLE))

    def started(self, run_id: str) -> list[dict[str, Any]]:
        """The confs of the runs that a look has started; each has ended by now."""
        statement = "SELECT value FROM xcom WHERE run_id = %s AND dag_id = 'taxi_watch' AND key = 'trigger_run_id'"
        names = [name for (name,) in self.taxi.airflow.query(statement, run_id)]
        assert [self.ended(name) for name in names] == ["success"] * len(names)
        statement = "SELECT conf FROM dag_run WHERE dag_id = 'taxi' AND run_id = %s"
        return [self.taxi.airflow.query(statement, name)[0][0] for name in sorted(names)]

    def path_of(self, conf: Mapping[str, Any]) -> str:
        source = load_source(SOURCES_FOLDER / f"{conf['taxi']}.yaml")
        month = Month(int(conf["year"]), int(conf["month"])) if "year" in conf else WHOLE
        return f"/{source.file_path(month)}"

    def tasks(self, run_id: str) -> dict[str, str]:
        statement = "SELECT task_id, state FROM task_instance WHERE dag_id = 'taxi_watch' AND run_id = %s"
        return dict(self.taxi.airflow.query(statement, run_id))

    def log(self, run_id: str, dag_id: str = "taxi_watch") -> str:
        files = (self.taxi.airflow.home / "logs").rglob(f"*dag_id={dag_id}/run_id={run_id}/**/*.log")
        return "\n".join(str(json.loads(line)) for path in files for line in path.read_text().splitlines())

    def ids(self, source: Source, path: Path) -> str:
        with self.taxi.connect() as connection:
            return digest(ids(connection, source, path.name))
