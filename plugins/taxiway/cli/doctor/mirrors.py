"""The checks of where files are fetched from: the mirrors, the clock, which theirs tell right, and the cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taxiway.cli.doctor.dag_files import METADATA
from taxiway.doctor.check import Check, Finding, fail, ok, skip, warn
from taxiway.download.refusals import Refusal
from taxiway.errors import TaxiwayError
from taxiway.paths import SOURCES_FOLDER
from taxiway.settings import format_size
from taxiway.sources.months import Month
from taxiway.sources.source import Source, read_sources

if TYPE_CHECKING:
    from taxiway.download.look import Look

CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
"""Longest waits for a mirror that is asked for the time."""

LOOK_SECONDS = 15.0
"""Longest wait for what a mirror says of a file."""

ODD_CLOCK, WRONG_CLOCK = 60, 300
"""Seconds that clocks may differ. At the second, Google and Airflow's services refuse each other's signatures."""

_MENDS = {
    Refusal.NO_HOST: (
        "correct the host in {connection}; if {host} is right, this machine's DNS doesn't know it: getent hosts {host}"
    ),
    Refusal.NO_SERVER: "start the mirror, or correct host and port in {connection}",
    Refusal.SILENT: (
        "check the network: a firewall or a proxy may keep this machine from {host}; or correct {connection}"
    ),
    Refusal.INSECURE: (
        "check the certificate of {host}, or of a proxy that puts its own in place: 'verify' in the extra of "
        "{connection} names the file of the authority that it is from"
    ),
    Refusal.LOGIN: "set login and password, or a header in its extra, in {connection}; a token may have expired",
    Refusal.FORBIDDEN: (
        "open {url} in a browser: correct the path in {connection} or in {file} if the file isn't there; set login and "
        "password in the connection if it is private"
    ),
    Refusal.ABSENT: "correct the path in {connection}, or 'path' of the release in {file}",
    Refusal.LEGAL: "set the address of another mirror in {connection}",
    Refusal.RETRY: (
        "look again later: the mirror, or a proxy, can't serve it now. If that goes on, set the address of another "
        "mirror in {connection}"
    ),
    Refusal.PROXY_LOGIN: (
        "write the proxy's address as http://USER:PASSWORD@HOST:PORT in http_proxy and https_proxy, or in 'proxies' in "
        "the extra of {connection}"
    ),
    Refusal.PROXY: (
        "start the proxy, or correct its address in http_proxy and https_proxy, or in 'proxies' in the extra of "
        "{connection}; if {host} needs no proxy, name it in no_proxy"
    ),
    Refusal.OTHER: "open {url} in a browser, and correct {connection}",
}
"""What mends it if a mirror doesn't have a file, by what its answer means; the last one holds for all others."""

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

    with Mirrors(LOOK_SECONDS) as mirrors:
        look = mirrors.look(source, month)
    if look.presence is Presence.THERE:
        return ok(f"{look.url} is there")
    mend = mend_of(look, conn_id, source)
    if look.presence is Presence.UNKNOWN:
        return fail(look.found, mend)
    return warn(f"it answers, and doesn't have {look.url}: {look.said}", mend)


def mend_of(look: Look, conn_id: str, source: Source) -> str:
    """Return what to do if a mirror doesn't have a file, by what its answer means.

    :param look: what it said of the file
    :param conn_id: its connection
    :param source: whose file it is
    """
    found = _MENDS.get(look.refusal or Refusal.OTHER, _MENDS[Refusal.OTHER])
    host, file = urlsplit(look.url).hostname, f"include/sources/{source.name}.yaml"
    return found.format(connection=_named(conn_id), host=host, url=look.url, file=file)


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
    return f"correct {_named(conn_id)}; make setup adds one that is absent"


def _named(conn_id: str) -> str:
    return f"the connection {conn_id} (AIRFLOW_CONN_{conn_id.upper()} in .env, or Admin, Connections in the web UI)"
