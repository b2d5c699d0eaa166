"""Cloud Storage and BigQuery without a cloud, as one process: ``python -m stand_ins.bigquery --help``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from pathlib import Path

from stand_ins.bigquery import StandIn, service_account_key
from stand_ins.cloud_storage import CloudStorage
from stand_ins.zetasql_analyzer import analyze


def main() -> None:
    """Run both until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m stand_ins.bigquery", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the data and the key file are kept")
    parser.add_argument("--port-file", type=Path, required=True, help="written as JSON as soon as both answer")
    parser.add_argument("--project", default="taxiway-demo", help="the project of the key (default: %(default)s)")
    parser.add_argument("--polls", type=int, default=0, help="looks at a job before it shows DONE, so that tasks defer")
    given = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    given.folder.mkdir(parents=True, exist_ok=True)
    # Compiles the analyzer where that was never done on this machine, before anyone waits for an answer.
    analyze("SELECT 1")
    with CloudStorage(given.folder / "storage") as storage, StandIn(str(given.folder / "bigquery.duckdb")) as bigquery:
        os.environ["STORAGE_EMULATOR_HOST"] = storage.url
        bigquery.faults.polls_until_done = given.polls
        key_file = given.folder / "key.json"
        key_file.touch(mode=0o600)
        key_file.write_text(json.dumps(service_account_key(bigquery.url, given.project)))
        started = {
            "pid": os.getpid(),
            "BIGQUERY_EMULATOR_HOST": bigquery.url,
            "STORAGE_EMULATOR_HOST": storage.url,
            "key_file": str(key_file),
        }
        own = given.port_file.with_name(f"{given.port_file.name}.{os.getpid()}")
        own.write_text(json.dumps(started))
        own.replace(given.port_file)
        stopped.wait()


if __name__ == "__main__":
    main()
