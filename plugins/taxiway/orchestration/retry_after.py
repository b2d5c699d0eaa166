"""When a download is tried again."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from taxiway.errors import DownloadError

if TYPE_CHECKING:
    from airflow.sdk import Context


class RetryAfterPolicy(RetryPolicy):
    """Try again no earlier than the mirror asks (``Retry-After``), and else as the task's own settings say.

    If the task would wait longer anyway, its own delay stays. So a mirror that asks for one second at each try doesn't
    use up the retries within seconds.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide after a try that failed.

        :param exception: why it failed
        :param try_number: which try it was, from 1
        :param max_tries: Airflow's; not used
        :param context: Airflow's, for the task's settings
        """
        wait = exception.retry_after if isinstance(exception, DownloadError) else None
        if wait is None or wait <= _least_delay(try_number, context):
            return RetryDecision.default()
        return RetryDecision.retry(
            delay=timedelta(seconds=math.ceil(wait)), reason=f"the mirror asks to wait {wait:.0f} s"
        )


def _least_delay(try_number: int, context: Context | None) -> float:
    """Return the least that Airflow waits after a try by the task's own settings, in seconds."""
    if context is None:
        return 0
    task = context["task"]
    delay: float = task.retry_delay.total_seconds()
    # Airflow adds to this, differently for each task and try, and cuts at max_retry_delay.
    delay *= (task.retry_exponential_backoff or 1) ** (try_number - 1)
    return delay if task.max_retry_delay is None else min(delay, _seconds(task.max_retry_delay))


def _seconds(delay: timedelta | float) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else delay
