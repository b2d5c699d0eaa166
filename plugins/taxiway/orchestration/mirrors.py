"""Asks mirrors for files by HEAD, over Airflow's connections."""

from __future__ import annotations

import math
from contextlib import ExitStack
from types import TracebackType

from airflow.sdk.exceptions import AirflowNotFoundException

from taxiway.download.look import Look, Lookout
from taxiway.errors import SettingError
from taxiway.orchestration.downloads import read_timeout_of
from taxiway.orchestration.hooks.mirror_hook import MirrorHook
from taxiway.program import airflow_command
from taxiway.sources.months import Month
from taxiway.sources.source import Source


class Mirrors:
    """The mirrors of all releases: each is asked over one session, one file after another."""

    def __init__(self, longest_wait: float = math.inf) -> None:
        """Begin without a session.

        :param longest_wait: seconds to wait for an answer, if the connection doesn't say less
        """
        self._longest_wait = longest_wait
        self._sessions = ExitStack()
        self._lookouts = dict[str, Lookout]()

    def __enter__(self) -> Mirrors:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the sessions."""
        self._sessions.close()

    def look(self, source: Source, month: Month) -> Look:
        """Ask whether a month's file is there, and in which version.

        :raises SettingError: the connection is missing, can't be read, or is of another type
        :raises DownloadRefusedError: its address can't be used
        """
        conn_id = source.release_of(month).connection
        if conn_id not in self._lookouts:
            hook = MirrorHook(method="HEAD", http_conn_id=conn_id)
            try:
                session = self._sessions.enter_context(hook.get_conn())
            except AirflowNotFoundException as error:
                add = "connections", "add", conn_id, "--conn-type", "http", "--conn-host", "https://HOST/PATH"
                raise SettingError(
                    f"{source.name} {month}: there is no connection {conn_id}, expected the address of its mirror: "
                    f"{airflow_command(*add)}"
                ) from error
            wait = min(read_timeout_of(hook), self._longest_wait)
            self._lookouts[conn_id] = Lookout(session, hook.base_url, read_timeout=wait)
        return self._lookouts[conn_id].look(source, month)

    @property
    def retry_after(self) -> float | None:
        """Seconds that a mirror asked to wait, if one did."""
        waits = [each.retry_after for each in self._lookouts.values() if each.retry_after is not None]
        return max(waits, default=None)
