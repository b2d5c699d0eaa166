"""Operator: fetch a month's file, for a DAG of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from taxiway.orchestration.downloads import download
from taxiway.orchestration.failures import retry_or_fail
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import find_source

if TYPE_CHECKING:
    from airflow.sdk import Context


class DownloadFileOperator(BaseOperator):
    """Fetch a month's file into the cache, verified, and return what :class:`taxiway.download.download.Download` holds.

    An error that a retry can't fix fails the task at once: no such month, a page instead of a file, a corrupt file, a
    refusal, a setting. For other errors the task's retries apply.

    :param source_name: name of the source's YAML file, without its ending (templated)
    :param month: the month, ``YYYY-MM`` (templated)
    :param http_conn_id: HTTP connection whose address the month's path is below; empty for that of its release
    :param use_cache: whether an unchanged file may be taken from the cache; None or an empty
        text leaves it to the Variable ``taxiway_use_cache``, else true (templated)
    :param cache_folder: where files are kept, relative to the repository's root; None or an
        empty text leaves it to the Variable ``taxiway_cache_folder``, else ``.taxiway/cache`` (templated)
    :param cache_limit: what the files may take up, in bytes or as ``10 GiB``. None or an empty text: the Variable
        ``taxiway_cache_limit``, else 10 GiB (templated)
    """

    template_fields: Sequence[str] = ("source_name", "month", "use_cache", "cache_folder", "cache_limit")

    def __init__(
        self,
        *,
        source_name: str,
        month: str,
        http_conn_id: str = "",
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
        :raises AirflowFailException: if trying again can't help; the context is Taxiway's own exception
        :raises DownloadError: if it may
        """
        with retry_or_fail(context):
            return download(
                find_source(SOURCES_FOLDER, self.source_name),
                Month.parse(self.month),
                http_conn_id=self.http_conn_id,
                use_cache=self.use_cache,
                cache_folder=self.cache_folder,
                cache_limit=self.cache_limit,
            ).to_dict()
