"""Operator: publish a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import TaskAwaitingInput

from taxiway.loads.deletions import Answer, Deletions, ToApprove
from taxiway.loads.load import Ended
from taxiway.loads.month import merge_month
from taxiway.loads.steps import MERGE_MONTH
from taxiway.loads.warehouse import Resumed, Warehouse
from taxiway.messages import counted
from taxiway.orchestration.alerts.taxi_alert import TaxiAlert
from taxiway.orchestration.assets import announce
from taxiway.orchestration.operators.step_operator import StepOperator
from taxiway.settings import parse_flag

if TYPE_CHECKING:
    from airflow.sdk import Context


APPROVAL_TIMEOUT = timedelta(hours=8)
"""How long a run waits for a person; a run may take half a day (``dag_template.DAGRUN_TIMEOUT``)."""

APPROVED = "approved"
"""Key of the task's state store: what a person has approved, for tries that follow."""


class MergeMonthOperator(StepOperator):
    """Publish a month in the main table, whole or not at all, and say so with the Asset of the table.

    If the source wants a person to approve what the file would delete, the task waits for an answer in Airflow's web
    UI, as one of :class:`~airflow.providers.standard.operators.hitl.ApprovalOperator` does: no worker is held. If
    nobody answers in time, the answer is no. What was approved is approved for later tries of the task, too.

    Returns what the month's rows were published from, and what that changed: ``rows``, ``rejected``, ``digest`` (the
    file's SHA-256), ``warnings``, ``inserted``, ``deleted``, ``unchanged``.

    :param accept_deletions: whether the file may delete any number of published rows (templated)
    """

    template_fields: Sequence[str] = (*StepOperator.template_fields, "accept_deletions")
    step = MERGE_MONTH

    def __init__(self, *, accept_deletions: bool | str = False, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.accept_deletions = accept_deletions
        self._answer: Answer | None = None

    def run_step(
        self, warehouse: Warehouse, outputs: Mapping[str, Any], resumed: Resumed | None, context: Context
    ) -> Any:
        """Publish the month."""
        accepts = parse_flag(self.accept_deletions, "accept_deletions")
        before = self._approved_before(context) if warehouse.load.source.approval else None
        result = merge_month(warehouse, outputs, resumed, accept_deletions=accepts, answer=self._answer, before=before)
        if isinstance(result, dict):
            # A task of the DAG taxi knows its source, and so the Asset, only now.
            self.outlets = [announce(context, self.warehouse, warehouse.load, result)]
            self.ended = Ended(is_loaded=True, warnings=tuple(result["warnings"]))
        return result

    def go_on(
        self,
        context: Context,
        event: dict[str, Any],
        load_id: str = "",
        deleted: int = 0,
        published: int = 0,
        sha256: str | None = None,
    ) -> Any:
        """Go on after a person has answered, or nobody has in time.

        :param event: the answer, as Airflow hands it over
        :param load_id: the attempt that has waited
        :param deleted: how many rows the person was asked about
        :param published: of how many
        :param sha256: of the file
        """
        from airflow.providers.standard.operators.hitl import ApprovalOperator

        approved = event.get("chosen_options") == [ApprovalOperator.APPROVE]
        by = (event.get("responded_by_user") or {}).get("name")
        self._answer = Answer(Deletions(deleted, published), approved, by, sha256)
        if approved:
            # This try may fail, and the next one is another task instance.
            context["task_state_store"].set(APPROVED, asdict(self._answer))
        return self._run(context, Resumed(load_id=load_id))

    def _approved_before(self, context: Context) -> Answer | None:
        said: Any = context["task_state_store"].get(APPROVED)
        return None if said is None else Answer(**{**said, "deletions": Deletions(**said["deletions"])})

    def _run(self, context: Context, resumed: Resumed | None = None) -> Any:
        result = super()._run(context, resumed)
        if isinstance(result, ToApprove):
            self._ask(context, result)
        return result

    def _ask(self, context: Context, question: ToApprove) -> NoReturn:
        """Wait until a person has answered in the web UI."""
        # Few tasks need it, and each imports this module.
        from airflow.providers.standard.operators.hitl import ApprovalOperator
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        found = question.deletions
        rows = counted(found.published, "published row")
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=[ApprovalOperator.APPROVE, ApprovalOperator.REJECT],
            subject=f"{self._load(context).where}: delete {found.deleted} of the {rows}?",
            body=f"{question.said}. {ApprovalOperator.APPROVE}: the file is published, and these rows are deleted. "
            f"{ApprovalOperator.REJECT}, or no answer in {APPROVAL_TIMEOUT // timedelta(hours=1)} hours: the run "
            f"fails, and the published rows stay",
            defaults=[ApprovalOperator.REJECT],
            params={},
        )
        self.log.warning("%s. Approve or reject it in Airflow's web UI, under Required Actions", question.said)
        TaxiAlert("approval", question.said)(context)
        raise TaskAwaitingInput(
            method_name="go_on",
            kwargs={"load_id": question.load_id, **asdict(found), "sha256": question.sha256},
            timeout=APPROVAL_TIMEOUT,
        )
