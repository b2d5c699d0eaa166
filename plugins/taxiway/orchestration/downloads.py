"""Downloads a month's file with the connection and the settings that are in force."""

from __future__ import annotations

from airflow.sdk import Variable

from taxiway.download.cache import Cache
from taxiway.download.download import READ_TIMEOUT, Download, download_month
from taxiway.errors import SettingError
from taxiway.orchestration.hooks.mirror_hook import MirrorHook
from taxiway.paths import ROOT
from taxiway.settings import parse_flag, parse_folder, parse_size
from taxiway.sources.months import Month
from taxiway.sources.source import Source

CACHE_FOLDER = ROOT / ".taxiway" / "cache"
"""Where files are kept, unless the Variable ``taxiway_cache_folder`` says otherwise."""

CACHE_LIMIT = "10 GiB"
"""What they may take up, unless the Variable ``taxiway_cache_limit`` says otherwise."""


def download(
    source: Source,
    month: Month,
    *,
    http_conn_id: str = "",
    use_cache: bool | str | None = None,
    cache_folder: str | None = None,
    cache_limit: int | str | None = None,
) -> Download:
    """Fetch a month's file into the cache, verified.

    :param source: the source
    :param month: the month
    :param http_conn_id: HTTP connection whose address the month's path is below; empty for that of its release
    :param use_cache: whether an unchanged file may be taken from the cache; None or an empty
        text leaves it to the Variable ``taxiway_use_cache``, else true
    :param cache_folder: where files are kept, relative to the repository's root; None or an
        empty text leaves it to the Variable ``taxiway_cache_folder``, else ``.taxiway/cache``
    :param cache_limit: what they may take up, in bytes or as ``10 GiB``; None or an empty text
        leaves it to the Variable ``taxiway_cache_limit``, else 10 GiB
    :raises TaxiwayError: what :func:`taxiway.download.download.download_month` raises, and settings that don't fit
    """
    cache, cached = cache_in_force(cache_folder, cache_limit), may_use_cache(use_cache)
    hook = MirrorHook(method="GET", http_conn_id=http_conn_id or source.release_of(month).connection)
    with hook.get_conn() as session:
        return download_month(
            session,
            hook.base_url,
            source,
            month,
            cache,
            use_cache=cached,
            read_timeout=read_timeout_of(hook),
        )


def cache_in_force(folder: str | None = None, limit: int | str | None = None) -> Cache:
    """Return the cache that downloads use; its folder needn't be there yet.

    :param folder: as ``cache_folder`` of :func:`download`
    :param limit: as ``cache_limit`` of :func:`download`
    :raises SettingError: the folder is below an unknown user's home, or the limit isn't a size
    """
    return Cache(
        parse_folder(_setting(folder, "taxiway_cache_folder", str(CACHE_FOLDER)), "taxiway_cache_folder"),
        parse_size(_setting(limit, "taxiway_cache_limit", CACHE_LIMIT), "taxiway_cache_limit"),
    )


def may_use_cache(use_cache: bool | str | None = None) -> bool:
    """Say whether an unchanged file is taken from the cache.

    :param use_cache: as that of :func:`download`
    :raises SettingError: the Variable is neither true nor false
    """
    return parse_flag(_setting(use_cache, "taxiway_use_cache", "true"), "taxiway_use_cache")


def _setting(value: object, variable: str, default: str) -> str:
    """Return a parameter's value as text, or the Variable's if the parameter says nothing."""
    if value is None or value in ("", "None"):
        # Not given to Variable.get, which takes each default for a secret, and warns if it is short.
        value = Variable.get(variable, default=None)
    return str(value) if value is not None and str(value).strip() else default


def read_timeout_of(hook: MirrorHook) -> float:
    """Return the seconds to wait for bytes: ``timeout`` in the connection's extra, if it is there."""
    timeout = hook.merged_extra.get("timeout")
    try:
        seconds = READ_TIMEOUT if timeout is None else float(timeout)
    except (TypeError, ValueError):
        seconds = 0
    if seconds <= 0:
        raise SettingError(f"{hook.http_conn_id}: timeout in its extra is {timeout!r}: expected seconds, such as 60")
    return seconds
