"""A step that reads the downloaded file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from taxiway.loads.warehouse import Resumed, Warehouse
from taxiway.orchestration.downloads import download
from taxiway.orchestration.operators.step_operator import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class FileStepOperator(StepOperator):
    """A step that reads the downloaded file, and fetches it again if its worker lacks it.

    :param http_conn_id: HTTP connection whose address the month's path is below, as in ``download_month``; empty for
        that of its release
    """

    def __init__(self, *, http_conn_id: str = "", **kwargs: Any) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.http_conn_id = http_conn_id

    def run_step(
        self, warehouse: Warehouse, outputs: Mapping[str, Any], resumed: Resumed | None, context: Context
    ) -> Any:
        """Do the step's work."""
        load = warehouse.load
        return self.step.run(
            warehouse, outputs, resumed, lambda: download(load.source, load.month, http_conn_id=self.http_conn_id)
        )
