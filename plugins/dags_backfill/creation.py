"""Creates Airflow's own backfill, with the runs that a plan asks for and no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sqlalchemy import select

from dags_backfill.errors import BackfillUsageError
from dags_backfill.interrupted_runs import NOTE_PREFIX, USER_SUFFIX
from dags_backfill.plan import Action, PlannedRun
from dags_backfill.request import BackfillRequest
from taxiway.messages import unknown_conf

if TYPE_CHECKING:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.definitions.dag import SerializedDAG
    from sqlalchemy.orm import Session


NOT_FOR_BACKFILLS = "not_for_backfills"
"""Key of a param's JSON schema: whether it is for runs that are triggered by hand only."""


def create_backfill(request: BackfillRequest, planned: Sequence[PlannedRun], session: Session) -> int:
    """Create the backfill and its runs, queued, in the caller's transaction.

    Airflow's ``_create_backfill`` treats all runs alike. This command finishes interrupted runs and leaves failed runs
    alone, so it calls the parts of that function itself.
    It also leaves a run alone if the metadata no longer have its tasks.

    :param planned: the plan, in the order in which runs start
    :return: the backfill's id
    :raises BackfillUsageError: if the conf doesn't fit the DAG's params
    """
    from airflow.models.backfill import Backfill, ReprocessBehavior, _create_backfill_dag_run_non_partitioned
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.platform import getuser

    serialized = SerializedDagModel.get(request.dag_id, session=session)
    if serialized is None:
        raise BackfillUsageError(f"DAG {request.dag_id!r} is not in the metadata database any more: try again")
    dag = serialized.dag
    check_conf(request, dag)
    user = f"{getuser()}{USER_SUFFIX}"
    backfill = Backfill(
        dag_id=request.dag_id,
        from_date=request.start,
        to_date=request.end,
        max_active_runs=request.max_active_runs,
        dag_run_conf=request.conf or {},
        reprocess_behavior=ReprocessBehavior(request.reprocess),
        triggering_user_name=user,
    )
    session.add(backfill)
    session.flush()
    for ordinal, run in enumerate(planned, start=1):
        if run.action in (Action.FINISH, Action.TAKE_OVER, Action.RERUN, Action.RERUN_FAILED):
            _queue_again(request, run, serialized, backfill.id, ordinal, session)
            continue
        _create_backfill_dag_run_non_partitioned(
            dag=dag,
            info=run.info,
            reprocess_behavior=ReprocessBehavior.NONE,
            backfill_id=backfill.id,
            dag_run_conf=request.conf or {},
            backfill_sort_ordinal=ordinal,
            triggering_user_name=user,
            run_on_latest_version=True,
            session=session,
        )
    session.flush()
    return backfill.id


def check_conf(request: BackfillRequest, dag: SerializedDAG) -> None:
    """Check a call's conf against the DAG's params.

    A DAG that declares params says with them which keys it reads; one without any may read every key.

    :raises BackfillUsageError: says which param has which value, and what it should have
    """
    if request.conf is not None:
        known = sorted(dag.params)
        unknown = unknown_conf(request.conf, known) if known else ""
        if unknown:
            raise BackfillUsageError(
                f"--conf has {unknown}: the params of DAG {request.dag_id!r} are {', '.join(known)}"
            )
        for name in request.conf:
            param = dag.params.get_param(name) if name in dag.params else None
            if param is not None and param.schema.get(NOT_FOR_BACKFILLS):
                raise BackfillUsageError(
                    f"--conf names {name}, which is for runs that are triggered by hand: a backfill runs every logical "
                    f"date of its range for itself. Leave it out, and say which dates with -s and -e"
                )
        try:
            dag.params.deep_merge(request.conf).validate()
        except ValueError as error:
            # The first line says what is wrong, the others repeat the schema.
            said = str(error).partition("\n")[0]
            raise BackfillUsageError(f"--conf does not fit the params of DAG {request.dag_id!r}: {said}") from error


def _queue_again(
    request: BackfillRequest,
    planned: PlannedRun,
    serialized: SerializedDagModel,
    backfill_id: int,
    ordinal: int,
    session: Session,
) -> None:
    """Queue a run that exists: all its tasks if it is run again, else those that have not ended.

    Tasks without a record are created: ``airflow db clean`` has deleted it, or the DAG got the task later. Otherwise
    nothing would run, and the run would stay succeeded.

    :raises BackfillError: the run has changed since it was planned
    """
    from airflow.models.backfill import BackfillDagRun
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    from dags_backfill.takeover import take_over

    run = session.scalars(
        select(DagRun)
        .where(DagRun.dag_id == request.dag_id, DagRun.run_id == planned.run_id)
        .with_for_update(of=DagRun)
        .execution_options(populate_existing=True)
    ).one()
    run.clear_number += 1
    if planned.action is Action.TAKE_OVER:
        take_over(run, session)
    elif planned.action is not Action.FINISH and serialized.dag.clear(
        run_id=run.run_id, session=session, run_on_latest_version=True
    ):
        # Airflow has counted this itself, for there was a task to clear.
        run.clear_number -= 1
    # A run that is run again gets the conf of this call, or none: the conf of an earlier call no longer counts.
    if request.conf is not None or planned.action in (Action.RERUN, Action.RERUN_FAILED):
        run.conf = request.conf or {}
    if run.created_dag_version_id is None:
        run.created_dag_version_id = serialized.dag_version_id
    run.dag = DBDagBag().get_dag_for_run(run, session=session) or serialized.dag
    run.verify_integrity(session=session, dag_version_id=run.created_dag_version_id)
    run.set_state(DagRunState.QUEUED)
    run.queued_at = datetime.now(timezone.utc)
    run.last_scheduling_decision = None
    run.backfill_id = backfill_id
    run.run_type = DagRunType.BACKFILL_JOB
    run.triggered_by = DagRunTriggeredByType.BACKFILL
    if (run.note or "").startswith(NOTE_PREFIX):
        session.delete(run.dag_run_note)
    session.add(
        BackfillDagRun(backfill_id=backfill_id, dag_run_id=run.id, logical_date=run.logical_date, sort_ordinal=ordinal)
    )
