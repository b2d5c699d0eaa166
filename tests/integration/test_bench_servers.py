"""The benchmark's databases: fresh, of the locale that is asked for, and gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rivals import course_locale
from bench.servers import Postgres
from taxiway_local.own_home import own_home

LOCALE_OF = "SELECT datlocprovider::text, datcollate FROM pg_database WHERE datname = 'contender'"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    # Not below pytest's own folder: the server's user must pass.
    with (
        tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder,
        own_home(Path(folder), "bench", print) as home,
    ):
        yield Postgres.start(home)


def test_a_contender_has_a_database_of_its_own_while_it_runs(server: Postgres) -> None:
    with server.fresh() as own, own.connect() as connection:
        with connection.transaction():
            connection.execute("CREATE TABLE public.left_over ()")
        owner = "SELECT pg_get_userbyid(datdba), current_user FROM pg_database WHERE datname = 'contender'"
        assert connection.execute(owner).fetchone() == ("taxiway", "taxiway")

    assert server.query(LOCALE_OF) == []
    with server.fresh() as own, own.connect() as connection:
        assert connection.execute("SELECT to_regclass('public.left_over')").fetchone() == (None,)


def test_the_courses_database_sorts_by_the_c_library(server: Postgres) -> None:
    locale = course_locale(server)
    if locale is None:
        pytest.skip("the C library has neither en_US.utf8 nor C.utf8 here")

    assert locale.lower().replace("-", "") in ("en_us.utf8", "c.utf8")
    with server.fresh(locale):
        assert server.query(LOCALE_OF) == [("c", locale)]


def test_without_a_locale_the_servers_own_compares_bytes(server: Postgres) -> None:
    with server.fresh() as own:
        assert server.query("SELECT 'a' < 'B'", own.name) == [(False,)]
        assert server.query(LOCALE_OF) == server.query(LOCALE_OF.replace("contender", "template1"))
