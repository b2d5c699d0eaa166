"""The DAG as its file says it is now, and the metadata database brought up to it.

Airflow's DAG processor does this while services run. Without them a new DAG is
not in the database yet, or an old state of it is.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dags_backfill.configuration import named_by
from dags_backfill.errors import BackfillError, BackfillUsageError

if TYPE_CHECKING:
    from airflow.dag_processing.bundles.base import BaseDagBundle
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.definitions.dag import SerializedDAG


@dataclass(frozen=True)
class ParsedDag:
    """A DAG and the bundle that its file lies in.

    :param dag: the DAG as the scheduler sees it
    :param bag: everything in the same file or bundle
    :param bundle: where the file lies
    """

    dag: SerializedDAG
    bag: DagBag
    bundle: BaseDagBundle

    def nothing_for(self, logical_date: datetime) -> str | None:
        """Say why a logical date has nothing to run, as a task with a method of this name tells; else None."""
        for task in self.bag.dags[self.dag.dag_id].tasks:
            ask = getattr(task, "nothing_for", None)
            if ask is not None and (reason := ask(logical_date)):
                return str(reason)
        return None

    def write_to_database(self) -> None:
        """Bring the metadata database up to the file: a new DAG becomes known, paused as configured."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import sync_bag_to_db

        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(self.bag, self.bundle.name, self.bundle.version)


def parse_dag(dag_id: str) -> ParsedDag:
    """Read a DAG from its file, and change nothing.

    :raises BackfillUsageError: if no file has such a DAG; lists those there are
    :raises BackfillError: if its file can't be imported
    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    bundles = {bundle.name: bundle for bundle in DagBundlesManager().get_all_dag_bundles()}
    with create_session() as session:
        known = session.get(DagModel, dag_id)
        home = (known.bundle_name, known.relative_fileloc) if known else (None, None)
    errors: dict[str, str] = {}
    if home[0] in bundles and home[1]:
        # The file that had it last: reading one file is faster than reading all.
        parsed = _parse(dag_id, bundles[home[0]], home[1], errors, [])
        if parsed is not None:
            return parsed
    errors.clear()
    others: list[str] = []
    for bundle in bundles.values():
        parsed = _parse(dag_id, bundle, None, errors, others)
        if parsed is not None:
            return parsed
    if errors:
        files = [f"{path}: {trace.strip().splitlines()[-1]}" for path, trace in sorted(errors.items())]
        raise BackfillError(
            f"DAG {dag_id!r} not found, and these files can't be imported: {'; '.join(files)}. Correct them and try "
            f"again"
        )
    raise BackfillUsageError(_not_found(dag_id, sorted(others)))


def _parse(
    dag_id: str, bundle: Any, relative_path: str | None, errors: dict[str, str], others: list[str]
) -> ParsedDag | None:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import DagSerialization

    if not bundle.is_initialized:
        bundle.initialize()
    path = bundle.path / relative_path if relative_path else bundle.path
    if not path.exists():
        return None
    bag = BundleDagBag(dag_folder=path, bundle_path=bundle.path, bundle_name=bundle.name)
    errors.update(bag.import_errors)
    others.extend(bag.dags)
    dag = bag.dags.get(dag_id)
    if dag is None:
        return None
    return ParsedDag(dag=DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)), bag=bag, bundle=bundle)


def _not_found(dag_id: str, known: list[str]) -> str:
    from airflow.configuration import conf

    if not known:
        folder = conf.get("core", "dags_folder")
        return f"DAG {dag_id!r} not found: the folder {folder}{named_by('core', 'dags_folder')} has no DAGs"
    close = difflib.get_close_matches(dag_id, known, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"DAG {dag_id!r} not found: {hint}DAGs there are: {', '.join(known)}"
