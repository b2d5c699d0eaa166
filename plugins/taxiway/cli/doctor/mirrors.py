"""The checks of where files are fetched from: the mirrors, the clock, which theirs tell right, and the cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timezone
from functools import partial

from taxiway.cli.doctor.dag_files import METADATA
from taxiway.doctor.check import Check, Finding, fail, ok, skip, warn
from taxiway.errors import TaxiwayError
from taxiway.paths import SOURCES_FOLDER
from taxiway.settings import format_size
from taxiway.sources.months import Month
from taxiway.sources.source import Source, read_sources

CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
"""Longest waits for a mirror."""

ODD_CLOCK, WRONG_CLOCK = 60, 300
"""Seconds that clocks may differ. At the second, Google and Airflow's services refuse each other's signatures."""

MAKE_ROOM = "make room, or set a smaller taxiway_cache_limit: the next download deletes what is over it"

File = tuple[Source, Month]


def first_files() -> Mapping[str, File]:
    """Return a file that each mirror should have, by the id of its connection: the first one of its first release."""
    found = dict[str, File]()
    for source in read_sources(SOURCES_FOLDER)[0]:
        for release in source.releases:
            found.setdefault(release.connection, (source, release.first))
    return found


def mirror(conn_id: str, source: Source, month: Month) -> Finding:
    """Can the connection be used, and does its mirror have a file?

    :param conn_id: the connection of the month's release
    """
    from taxiway.download.look import Presence
    from taxiway.orchestration.mirrors import Mirrors

    with Mirrors() as mirrors:
        look = mirrors.look(source, month)
    if look.presence is Presence.THERE:
        return ok(f"{look.url} is there")
    if look.presence is Presence.UNKNOWN:
        return fail(look.in_full, _correct(conn_id))
    return warn(f"it answers, and doesn't have {look.url}: {look.said}", _correct(conn_id))


def clock(files: Mapping[str, File]) -> Finding:
    """Does this machine's clock agree with that of a mirror?

    :param files: what to ask for, by the id of the mirror's connection
    """
    from airflow.sdk.exceptions import AirflowException

    from taxiway.download.mirror_client import Mirror
    from taxiway.download.validators import parse_http_date
    from taxiway.orchestration.hooks.mirror_hook import MirrorHook

    for conn_id, (source, month) in files.items():
        hook = MirrorHook(method="HEAD", http_conn_id=conn_id)
        timeouts = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
        try:
            with hook.get_conn() as session:
                asked = Mirror(session, hook.base_url, conn_id, source.allowed_redirect_hosts, **timeouts)
                with closing(asked.get(asked.url(source.file_path(month)), {}, method="HEAD")) as answer:
                    moment = parse_http_date(answer.headers.get("Date"))
        except (TaxiwayError, AirflowException):
            continue
        if moment is None:
            continue
        ahead = (datetime.now(timezone.utc) - moment).total_seconds()
        found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the mirror of {conn_id}"
        if abs(ahead) <= ODD_CLOCK:
            return ok(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {found}")
        mend = "set it: timedatectl set-ntp true (containers and WSL have their host's clock)"
        return warn(found, mend) if abs(ahead) <= WRONG_CLOCK else fail(found, mend)
    return skip("no mirror has told the time")


def cache() -> Finding:
    """Can files be kept, and is there room for them?"""
    from taxiway.orchestration.downloads import cache_in_force, may_use_cache

    found = cache_in_force()
    there = found.folder
    while not os.path.lexists(there):
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return fail(
            f"{there} can't be written to: {error.strerror}",
            "let Airflow's user write there, or name another folder: AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER in .env",
        )
    size, free = found.size(), shutil.disk_usage(there).free
    said = f"{format_size(size)} of {format_size(found.limit_bytes)} in {found.folder}"
    if not may_use_cache():
        return warn(
            f"{said}, and taxiway_use_cache is false: each file is fetched anew", "set it to true, or leave it out"
        )
    if found.limit_bytes - size > free:
        return warn(f"{said}, and only {format_size(free)} are free there", MAKE_ROOM)
    return ok(said)


def checks() -> Sequence[Check]:
    """Return all of them: one for each mirror, and those that are about none or all."""
    files = first_files()
    looks = [
        Check(
            f"mirror {conn_id}",
            partial(mirror, conn_id, *file),
            _correct(conn_id),
            needs=stored_in(conn_id),
        )
        for conn_id, file in files.items()
    ]
    return [
        *looks,
        Check("clock", partial(clock, files), "see the mirrors above", needs=METADATA, seconds=60.0),
        Check(
            "cache",
            cache,
            "correct the Variables taxiway_cache_folder, taxiway_cache_limit, taxiway_use_cache",
            needs=METADATA,
        ),
    ]


def stored_in(conn_id: str) -> str:
    """Return what a check of a connection needs: the metadata, unless the environment has the connection."""
    return "" if f"AIRFLOW_CONN_{conn_id.upper()}" in os.environ else METADATA


def _correct(conn_id: str) -> str:
    return (
        f"check the network, and correct the connection {conn_id} (AIRFLOW_CONN_{conn_id.upper()} in .env, or Admin, "
        f"Connections in the web UI); make setup adds one that is absent"
    )
