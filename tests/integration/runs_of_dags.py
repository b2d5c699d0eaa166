"""Runs DAGs one after another in one process, as ``airflow dags test`` does each: real tasks, and no scheduler.

Called with the folder of the DAG files and a JSON list of DAG ids with their confs; says how every run ended. If a
logical date is given, too, its run is the same one every time: the id is made from that date. A null in the list waits
for a line on the standard input.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime


def main() -> int:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    from dags_backfill.newest_api import keep_newest_version

    keep_newest_version()  # as the command does
    folder, runs = sys.argv[1], json.loads(sys.argv[2])
    bag = DagBag(dag_folder=folder)
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    states = []
    for each in runs:
        if each is None:
            sys.stdin.readline()
            continue
        dag_id, conf, *dates = each
        moments = {name: datetime.fromisoformat(date) for date in dates for name in ("logical_date", "run_after")}
        # It reads the DAG files once more, for DAGs that this one may trigger. All are known: let them build one.
        with _airflow_parsing_context_manager(dag_id=dag_id):
            run = bag.dags[dag_id].test(run_conf=conf, **moments)
        states.append(str(getattr(run.state, "value", run.state)))
        print(f"ENDED {dag_id} {json.dumps(conf)} {states[-1]}", flush=True)
    return int(states != ["success"] * len(states))


if __name__ == "__main__":
    sys.exit(main())
