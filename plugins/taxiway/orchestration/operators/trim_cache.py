"""Operator: delete files from the cache that nobody has used for long."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from taxiway.messages import counted
from taxiway.orchestration.downloads import cache_in_force
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.retention import retention
from taxiway.settings import parse_flag

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrimCacheOperator(BaseOperator):
    """Delete files from the cache of this machine that nobody has used for long, and transfers that were given up.

    Returns how many.

    :param is_dry_run: whether only to say what would be deleted (templated)
    """

    template_fields: Sequence[str] = ("is_dry_run",)

    def __init__(self, *, is_dry_run: bool | str = False, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.is_dry_run = is_dry_run

    def execute(self, context: Context) -> int:
        """Look, and delete.

        :raises AirflowFailException: a setting can't be used
        """
        with retry_or_fail(context):
            dry_run, days = parse_flag(self.is_dry_run, "dry_run"), retention().cache
            cache = cache_in_force()
            found = cache.expire(time.time() - days * 86400, dry_run=dry_run)
        for path in found:
            self.log.info("%s: %s", "would be deleted" if dry_run else "deleted", path.relative_to(cache.folder))
        said = "would be deleted" if dry_run else "deleted"
        self.log.info("%s: %s: %s, unused for %d days", cache.folder, said, counted(len(found), "file"), days)
        return len(found)
