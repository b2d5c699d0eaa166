"""The task that fetches a month's file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context, Variable
from airflow.sdk.exceptions import AirflowFailException

from taxiway.download.cache import Cache
from taxiway.download.download import READ_TIMEOUT, Download, download_month
from taxiway.errors import DownloadError, SettingError, TaxiwayError
from taxiway.orchestration.hooks.mirror_hook import MirrorHook
from taxiway.orchestration.month_of_run import last_try_of
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.settings import parse_flag, parse_size
from taxiway.sources.months import Month
from taxiway.sources.source import find_source

CACHE_FOLDER = ROOT / ".taxiway" / "cache"
"""Where files are kept, unless the Variable ``taxiway_cache_folder`` says otherwise."""

CACHE_LIMIT = "10 GiB"
"""What they may take up, unless the Variable ``taxiway_cache_limit`` says otherwise."""


class DownloadMonthOperator(BaseOperator):
    """Fetch a month's file into the cache, verified, and return what :class:`taxiway.download.download.Download` holds.

    What trying again can't mend (no such month, a page instead of a file, a corrupt
    file, a refusal, a setting) fails at once; for the rest the task's retries apply.

    :param source_name: name of the source's YAML file, without its ending (templated)
    :param month: the month, ``YYYY-MM`` (templated)
    :param http_conn_id: HTTP connection whose address is the mirror's
    :param use_cache: whether an unchanged file may be taken from the cache; None or an empty
        text leaves it to the Variable ``taxiway_use_cache``, else true (templated)
    :param cache_folder: where files are kept, relative to the repository's root; None or an
        empty text leaves it to the Variable ``taxiway_cache_folder``, else ``.taxiway/cache`` (templated)
    :param cache_limit: what they may take up, in bytes or as ``10 GiB``; None or an empty text
        leaves it to the Variable ``taxiway_cache_limit``, else 10 GiB (templated)
    """

    template_fields: Sequence[str] = ("source_name", "month", "use_cache", "cache_folder", "cache_limit")

    def __init__(
        self,
        *,
        source_name: str,
        month: str,
        http_conn_id: str = "tlc_mirror",
        use_cache: bool | str | None = None,
        cache_folder: str | None = None,
        cache_limit: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.month = month
        self.http_conn_id = http_conn_id
        self.use_cache = use_cache
        self.cache_folder = cache_folder
        self.cache_limit = cache_limit

    def execute(self, context: Context) -> dict[str, Any]:
        """Fetch the file.

        :param context: Airflow's context of the task
        :return: path, address, ETag, Last-Modified, size in bytes, SHA-256 and whether it came from the cache
        :raises AirflowFailException: where trying again can't help; the cause is Taxiway's own exception
        :raises DownloadError: where it may
        """
        try:
            with last_try_of(context):
                return self.download().to_dict()
        except DownloadError:
            raise
        except TaxiwayError as error:
            raise AirflowFailException(str(error)) from error

    def download(self) -> Download:
        """Fetch the file, from the connection and with the settings that are in force.

        :raises TaxiwayError: what :func:`taxiway.download.download.download_month` raises, and settings that don't fit
        """
        source = find_source(SOURCES_FOLDER, self.source_name)
        month = Month.parse(self.month)
        folder = _setting(self.cache_folder, "taxiway_cache_folder", str(CACHE_FOLDER))
        limit = _setting(self.cache_limit, "taxiway_cache_limit", CACHE_LIMIT)
        use_cache = _setting(self.use_cache, "taxiway_use_cache", "true")
        cache = Cache(ROOT / Path(folder).expanduser(), parse_size(limit, "taxiway_cache_limit"))
        hook = MirrorHook(method="GET", http_conn_id=self.http_conn_id)
        with hook.get_conn() as session:
            return download_month(
                session,
                hook.base_url,
                source,
                month,
                cache,
                use_cache=parse_flag(use_cache, "taxiway_use_cache"),
                read_timeout=_timeout(hook),
            )


def _setting(value: object, variable: str, default: str) -> str:
    """Return a parameter's value as text, or the Variable's where the parameter says nothing."""
    if value is None or value in ("", "None"):
        # Not given to Variable.get, which takes each default for a secret, and warns where it is short.
        value = Variable.get(variable, default=None)
    return default if value is None else str(value)


def _timeout(hook: MirrorHook) -> float:
    """Return the seconds to wait for bytes: ``timeout`` in the connection's extra, where it is there."""
    timeout = hook.merged_extra.get("timeout")
    try:
        seconds = READ_TIMEOUT if timeout is None else float(timeout)
    except (TypeError, ValueError):
        seconds = 0
    if seconds <= 0:
        raise SettingError(f"{hook.http_conn_id}: timeout in its extra is {timeout!r}: expected seconds, such as 60")
    return seconds
