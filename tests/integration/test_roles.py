"""Who may do what in the warehouse, as `make setup` and docker compose set it up, on real servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.main_table import ensure_tables
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.summary import summarize_month
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local import database
from taxiway_local.home import Home
from taxiway_local.postgres_server import SETTINGS
from tests.integration.test_docker_init import Server, postgres_init, running_server
from tests.loading import ids, load, query, source_file, stage_month, write_gzip

PASSWORD = "loader-T_1"
ROWS = [
    f"2,2019-01-{day:02d} 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
    for day in range(1, 20)
]
REJECTED = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,one,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"

READABLE = [
    "public.green_tripdata",
    "public.green_tripdata_2019_01",
    "public.green_tripdata_2019_02",
    "taxiway.loads",
    "taxiway.months",
    "taxiway.rejected_rows",
]


@dataclass(frozen=True)
class Installation:
    """A server with the warehouse, and the way to set it up.

    :param socket_folder: folder of its Unix socket
    :param set_up: what `make setup`, or a start of docker compose, does to it
    :param home: the home of embedded Postgres; None for docker compose's
    """

    socket_folder: Path
    set_up: Callable[[], object]
    home: Home | None = None

    def connect(self, user: str, name: str = "taxi", **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.socket_folder), user=user, password=PASSWORD, dbname=name, autocommit=True, **options
        )

    def admin(self, *statements: str, name: str = "taxi") -> list[Any]:
        """Run statements as the server's superuser; return the rows of the last one."""
        rows: list[Any] = []
        with self.connect("postgres", name) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows


@contextlib.contextmanager
def embedded() -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="taxiway"))
    home = Home(folder)
    (folder / "plugins").symlink_to(ROOT / "plugins")
    try:
        server = database.start(home)
        yield Installation(server.socket_folder, lambda: database.start(home), home)
    finally:
        database.stop(home)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def docker() -> Iterator[Installation]:
    with running_server() as server:

        def set_up() -> None:
            done = postgres_init(_environment(server))
            assert done.returncode == 0, done.stderr

        set_up()
        yield Installation(server.socket_folder, set_up)


def _environment(server: Server) -> dict[str, str]:
    return server.environment(AIRFLOW_DB_PASSWORD="airflow-A_1", TAXIWAY_DB_PASSWORD=PASSWORD)


@pytest.fixture(scope="module", params=[embedded, docker])
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    with request.param() as installation:
        yield installation


@pytest.fixture(scope="module")
def lenient(green: Source) -> Source:
    """The source green, which lets some rows be rejected."""
    return replace(green, max_rejected_share=0.5, checks=())


@pytest.fixture
def warehouse(installation: Installation, lenient: Source, tmp_path: Path) -> Installation:
    """The warehouse as after the first setup, with two months that the loader's role has loaded."""
    _forget(installation)
    installation.set_up()
    with installation.connect("taxiway") as connection:
        _load(connection, lenient, "2019-01", tmp_path, [*ROWS[:5], REJECTED])
        _load(connection, lenient, "2019-02", tmp_path, ROWS)
    installation.admin(
        f"CREATE ROLE analyst LOGIN PASSWORD '{PASSWORD}'",
        "GRANT taxiway_reader TO analyst",
        "CREATE SCHEMA private",
        "CREATE TABLE private.notes AS SELECT 'secret' AS note",
    )
    return installation


def _forget(installation: Installation) -> None:
    """Bring the server to where a first setup finds it."""
    installation.admin(
        "DROP DATABASE IF EXISTS taxi WITH (FORCE)",
        "DROP ROLE IF EXISTS analyst, taxiway, taxiway_reader",
        name="postgres",
    )


def _load(
    connection: psycopg.Connection[Any], source: Source, month: str, folder: Path, rows: Sequence[str], run: str = ""
) -> None:
    header = ",".join(column.header for column in source.columns)
    path = write_gzip(folder / source.download_name(Month.parse(month)), [header, *rows])
    load(connection, source, month, path, run_id=f"manual__{month}{run}")


def _refused(connection: psycopg.Connection[Any], statement: str) -> str | None:
    """Run a statement that must fail for want of a right; return None where it does, else what happened."""
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return None
    except psycopg.Error as error:
        return f"{statement}: {type(error).__name__}: {error}"
    return f"{statement}: went through"


def _privileges(installation: Installation, role: str, privilege: str) -> list[str]:
    """Return the relations, other than Postgres's own, on which a role has a privilege, for whatever reason."""
    rows = installation.admin(
        "SELECT c.relnamespace::regnamespace || '.' || c.relname FROM pg_class AS c "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
        "AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast') "
        f"AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('{role}', c.oid, 'USAGE, SELECT, UPDATE') "
        f"ELSE has_table_privilege('{role}', c.oid, '{privilege}') END ORDER BY 1"
    )
    return [row[0] for row in rows]


# --- The loader


def test_the_loader_owns_its_schemas_and_tables_and_nothing_else(warehouse: Installation) -> None:
    assert warehouse.admin(
        "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
        "FROM pg_roles WHERE rolname LIKE 'taxiway%' ORDER BY 1"
    ) == [("taxiway", True, False), ("taxiway_reader", False, False)]
    assert warehouse.admin(
        "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname IN ('airflow', 'taxi') ORDER BY 1"
    ) == [("airflow", "airflow"), ("taxi", "postgres")]
    assert warehouse.admin(
        "SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY nspname"
    ) == [
        ("information_schema", "postgres"),
        ("private", "postgres"),
        ("public", "pg_database_owner"),
        ("taxiway", "taxiway"),
        ("taxiway_staging", "taxiway"),
    ]
    # Memberships, for rights can come that way too.
    assert warehouse.admin("SELECT 1 FROM pg_auth_members WHERE member = 'taxiway'::regrole") == []
    owned = warehouse.admin("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relowner = 'taxiway'::regrole")
    assert {schema for (schema,) in owned} <= {"public", "taxiway", "pg_toast"}
    assert _privileges(warehouse, "taxiway", "SELECT") == sorted([*READABLE, "taxiway.loads_load_id_seq"])


FORBIDDEN_TO_THE_LOADER = [
    "CREATE ROLE another",
    "CREATE DATABASE another",
    "CREATE SCHEMA another",
    "DROP EXTENSION plpgsql",
    "CREATE TEMPORARY TABLE another (n integer)",
    "CREATE FUNCTION public.another() RETURNS integer LANGUAGE c AS 'libc', 'getpid'",
    "DROP DATABASE airflow",
    "DROP SCHEMA public CASCADE",
    "DROP OWNED BY postgres",
    "ALTER DATABASE taxi RENAME TO another",
    "ALTER DATABASE taxi OWNER TO taxiway",
    "ALTER SCHEMA public OWNER TO taxiway",
    "ALTER ROLE taxiway SUPERUSER",
    "ALTER ROLE taxiway_reader LOGIN",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "GRANT pg_read_all_data TO taxiway",
    "GRANT taxiway_reader TO taxiway",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY public.green_tripdata FROM PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/taxiway-written-by-the-server'",
    "COPY public.green_tripdata FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT * FROM private.notes",
    "TABLE pg_hba_file_rules",
    "SELECT pg_reload_conf()",
]


def test_the_loader_may_do_nothing_beyond_loading(warehouse: Installation) -> None:
    with warehouse.connect("taxiway") as connection:
        outcomes = [_refused(connection, statement) for statement in FORBIDDEN_TO_THE_LOADER]
        assert [outcome for outcome in outcomes if outcome] == []
        # A grant of what one may not grant is a warning in Postgres, and has no effect.
        connection.execute("GRANT CREATE, TEMPORARY ON DATABASE taxi TO taxiway, taxiway_reader, PUBLIC")
        assert _refused(connection, "CREATE SCHEMA another") is None
        # Its own tables are its own.
        connection.execute("CREATE TABLE public.probe (n integer)")
        connection.execute("DROP TABLE public.probe")
    assert not Path("/tmp/taxiway-written-by-the-server").exists()


@pytest.mark.parametrize("role", ["taxiway", "analyst"])
@pytest.mark.parametrize("name", ["airflow", "postgres", "template1"])
def test_no_other_database_lets_them_in(warehouse: Installation, role: str, name: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=f'permission denied for database "{name}"'):
        warehouse.connect(role, name)


def test_whoever_was_not_let_in_stays_out(warehouse: Installation) -> None:
    warehouse.admin(f"DROP ROLE IF EXISTS nobody_s; CREATE ROLE nobody_s LOGIN PASSWORD '{PASSWORD}'")
    try:
        for name in ("taxi", "airflow"):
            with pytest.raises(psycopg.OperationalError, match=f'permission denied for database "{name}"'):
                warehouse.connect("nobody_s", name)
    finally:
        warehouse.admin("DROP ROLE nobody_s")


# --- The reader


def test_the_reader_may_read_what_is_published_and_the_ledger(warehouse: Installation) -> None:
    with warehouse.connect("analyst") as connection:
        counts = {table: query(connection, f"SELECT count(*) FROM {table}")[0][0] for table in READABLE}
    assert counts == {
        "public.green_tripdata": 24,
        "public.green_tripdata_2019_01": 5,
        "public.green_tripdata_2019_02": 19,
        "taxiway.loads": 2,
        "taxiway.months": 2,
        "taxiway.rejected_rows": 1,
    }


def test_the_reader_may_read_the_summary_of_the_reports(warehouse: Installation, lenient: Source) -> None:
    count = "SELECT sum(trips) FROM public.monthly_zone_summary"
    with warehouse.connect("taxiway") as connection:
        summarize_month(connection, lenient, Month(2019, 1))
    with warehouse.connect("analyst") as connection:
        assert query(connection, count) == [(5,)]
        assert _refused(connection, "DELETE FROM public.monthly_zone_summary") is None

    # A role that came later gets the right by the setup.
    warehouse.admin("REVOKE SELECT ON public.monthly_zone_summary FROM taxiway_reader")
    warehouse.set_up()
    with warehouse.connect("analyst") as connection:
        assert query(connection, count) == [(5,)]


def test_the_reader_has_no_right_but_reading(warehouse: Installation, lenient: Source, tmp_path: Path) -> None:
    tables = LoadTables(lenient, Month(2019, 3), "manual__unfinished")
    header = ",".join(column.header for column in lenient.columns)
    with warehouse.connect("taxiway") as connection:
        stage_month(connection, tables, source_file(write_gzip(tmp_path / "march.csv.gz", [header, *ROWS])))
        connection.execute("CREATE TABLE public.scratch AS SELECT 1 AS n")

    assert tables.staging_table in _privileges(warehouse, "taxiway", "SELECT")
    assert _privileges(warehouse, "analyst", "SELECT") == READABLE
    assert _privileges(warehouse, "analyst", "INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, MAINTAIN") == []
    forbidden = [
        f"SELECT * FROM {tables.staging_table}",
        "SELECT * FROM public.scratch",
        "SELECT * FROM private.notes",
        *(f"INSERT INTO {table} DEFAULT VALUES" for table in READABLE if table != "taxiway.months"),
        *(f"DELETE FROM {table}" for table in READABLE if table != "taxiway.months"),
        *(f"TRUNCATE {table}" for table in READABLE if table != "taxiway.months"),
        *(f"DROP TABLE {table}" for table in READABLE if table != "taxiway.months"),
        "UPDATE public.green_tripdata SET fare_amount = 0",
        "UPDATE taxiway.loads SET state = 'published'",
        "DROP VIEW taxiway.months",
        "ALTER TABLE public.green_tripdata ADD COLUMN mine text",
        "CREATE INDEX mine ON public.green_tripdata_2019_01 (fare_amount)",
        "DO 'BEGIN LOCK TABLE public.green_tripdata IN ACCESS EXCLUSIVE MODE; END'",
        "COMMENT ON TABLE public.green_tripdata IS 'mine'",
        "SELECT nextval('taxiway.loads_load_id_seq')",
        "CREATE TABLE public.mine (n integer)",
        "CREATE TABLE taxiway.mine (n integer)",
        "CREATE VIEW public.mine AS SELECT 1 AS n",
        "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine (n integer)",
        "CREATE ROLE mine",
        "SET ROLE taxiway",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    ]
    with warehouse.connect("analyst") as connection:
        outcomes = [_refused(connection, statement) for statement in forbidden]
        # Handing its right on is no error in Postgres, and has no effect.
        connection.execute("GRANT SELECT ON taxiway.loads TO PUBLIC")
    assert [outcome for outcome in outcomes if outcome] == []
    assert _privileges(warehouse, "public", "SELECT") == []


def test_a_load_goes_on_without_the_reader_and_lets_it_in_once_it_is_there(
    warehouse: Installation, lenient: Source, tmp_path: Path
) -> None:
    warehouse.admin("DROP OWNED BY taxiway_reader", "DROP ROLE taxiway_reader")
    with warehouse.connect("taxiway") as connection:
        _load(connection, lenient, "2019-03", tmp_path, ROWS)
        _load(connection, replace(lenient, max_deleted_share=1), "2019-02", tmp_path, ROWS[:7], run="again")
        assert len(ids(connection, lenient)) == 5 + 7 + 19

    # A role that somebody made by hand: the next load lets it read all there is.
    warehouse.admin("CREATE ROLE taxiway_reader", "GRANT taxiway_reader TO analyst")
    assert _privileges(warehouse, "analyst", "SELECT") == []
    with warehouse.connect("taxiway") as connection:
        _load(connection, lenient, "2019-04", tmp_path, ROWS)
    months = [f"public.green_tripdata_2019_{number:02d}" for number in (3, 4)]
    assert _privileges(warehouse, "analyst", "SELECT") == sorted([*READABLE, *months])

    # The setup gives it the rest: to enter.
    with pytest.raises(psycopg.OperationalError, match='permission denied for database "taxi"'):
        warehouse.connect("analyst")
    warehouse.set_up()
    with warehouse.connect("analyst") as connection:
        assert query(connection, "SELECT count(*) FROM green_tripdata") == [(5 + 7 + 19 + 19,)]


def test_a_load_does_not_wait_for_somebody_busy_with_another_month(
    warehouse: Installation, lenient: Source, tmp_path: Path
) -> None:
    with warehouse.connect("taxiway") as connection, warehouse.connect("postgres") as other:
        other.execute("BEGIN; LOCK TABLE ONLY public.green_tripdata_2019_01 IN ACCESS EXCLUSIVE MODE")
        # One of the two rights is missing: a lock is for the table that gets it.
        warehouse.admin("REVOKE SELECT ON public.green_tripdata_2019_02 FROM taxiway_reader")
        with transaction(connection) as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            ensure_tables(cursor, lenient)
        other.execute("ROLLBACK")
    assert _privileges(warehouse, "analyst", "SELECT") == READABLE


# --- Setting up again


def test_short_names_of_the_loader_mean_the_main_tables(warehouse: Installation) -> None:
    """The role has a schema of its own name, the ledger's: a view or table created there would hide a main table."""
    with warehouse.connect("taxiway") as connection:
        connection.execute("CREATE VIEW green_by_day AS SELECT 1 AS day")
        connection.execute("CREATE TABLE yellow_tripdata (a int)")
        assert query(connection, "SELECT schemaname FROM pg_views WHERE viewname = 'green_by_day'") == [("public",)]
        assert query(connection, "SELECT schemaname FROM pg_tables WHERE tablename LIKE 'yellow%'") == [("public",)]
        assert query(connection, "SELECT count(*) FROM loads") == [(2,)]
    warehouse.admin("ALTER ROLE taxiway IN DATABASE taxi SET search_path = public, private")

    warehouse.set_up()

    with warehouse.connect("taxiway") as connection:
        assert query(connection, "SHOW search_path") == [("public, private",)], "what somebody has set stays"


def test_a_second_setup_changes_nothing(warehouse: Installation) -> None:
    rights = (
        "SELECT 'database', datname::text, datdba, datacl::text FROM pg_database "
        "UNION ALL SELECT 'schema', nspname, nspowner, nspacl::text FROM pg_namespace "
        "UNION ALL SELECT 'table', oid::regclass::text, relowner, relacl::text FROM pg_class ORDER BY 1, 2"
    )
    before = warehouse.admin(rights)

    warehouse.set_up()

    assert warehouse.admin(rights) == before


def test_an_earlier_installation_comes_to_these_rights_and_keeps_all(
    installation: Installation, lenient: Source, tmp_path: Path
) -> None:
    """Once the loader's role owned the database, and made the schemas itself."""
    _forget(installation)
    installation.admin(
        f"CREATE ROLE taxiway LOGIN CREATEDB PASSWORD '{PASSWORD}'",
        "CREATE DATABASE taxi OWNER taxiway",
        name="postgres",
    )
    with installation.connect("taxiway") as connection:
        _load(connection, lenient, "2019-01", tmp_path, [*ROWS[:5], REJECTED])
        connection.execute("CREATE SCHEMA marts")
        connection.execute("CREATE TABLE marts.daily AS SELECT count(*) AS trips FROM green_tripdata")
        before = ids(connection, lenient)
        assert len(before) == 5
        open_transaction = installation.connect("taxiway")
        open_transaction.execute("BEGIN; SELECT count(*) FROM taxiway.loads")

        # A load that is under way is no obstacle.
        installation.set_up()
        open_transaction.close()

        assert ids(connection, lenient) == before
        assert query(connection, "SELECT trips FROM marts.daily") == [(5,)]
        assert _refused(connection, "CREATE SCHEMA another") is None
        assert _refused(connection, "CREATE DATABASE another") is None
        _load(connection, lenient, "2019-02", tmp_path, ROWS)
        _load(connection, lenient, "2019-01", tmp_path, ROWS[:9], run="corrected")
        assert len(ids(connection, lenient)) == 9 + 19
    assert installation.admin("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'taxi'") == [
        ("postgres",)
    ]
    assert _privileges(installation, "taxiway_reader", "SELECT") == READABLE


def test_a_role_of_ones_own_that_may_create_schemas_needs_no_setup(
    installation: Installation, lenient: Source, tmp_path: Path
) -> None:
    installation.admin(f"CREATE ROLE somebody LOGIN PASSWORD '{PASSWORD}'", name="postgres")
    try:
        installation.admin("CREATE DATABASE elsewhere OWNER somebody", name="postgres")
        with installation.connect("somebody", "elsewhere") as connection:
            _load(connection, lenient, "2019-01", tmp_path, ROWS)
            with transaction(connection) as cursor:
                cursor.execute("SELECT schema_owner FROM information_schema.schemata WHERE schema_name = 'taxiway'")
                assert cursor.fetchall() == [("somebody",)]
    finally:
        installation.admin("DROP DATABASE IF EXISTS elsewhere WITH (FORCE)", "DROP ROLE somebody", name="postgres")


# --- The embedded server's door


@pytest.mark.parametrize("installation", [embedded], indirect=True)
@pytest.mark.parametrize(("options", "role"), [([], "taxiway"), (["--as", "postgres"], "postgres")])
def test_psql_is_who_one_asks_for(installation: Installation, options: list[str], role: str) -> None:
    assert installation.home is not None
    done = subprocess.run(
        [sys.executable, "-m", "taxiway_local.psql", *options, "--tuples-only", "--no-align", "-c", "SELECT user"],
        env={**os.environ, "AIRFLOW_HOME": str(installation.home.root), "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (f"{role}\n", "")


@pytest.mark.parametrize("installation", [embedded], indirect=True)
def test_a_command_inside_psql_reaches_the_warehouse(installation: Installation, tmp_path: Path) -> None:
    """As an error advises it."""
    assert installation.home is not None
    path = tmp_path / "before.sql"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "taxiway_local.psql",
            "--as=postgres",
            "-c",
            f"\\! pg_dump -s --file={path} --dbname=taxi",
        ],
        env={**os.environ, "AIRFLOW_HOME": str(installation.home.root), "PYTHONPATH": str(ROOT / "plugins")},
        check=True,
        timeout=60,
    )
    assert "CREATE SCHEMA taxiway" in path.read_text()


@pytest.mark.parametrize("installation", [embedded], indirect=True)
def test_embedded_postgres_has_its_settings(installation: Installation) -> None:
    assert {name: installation.admin(f"SHOW {name}")[0][0] for name in SETTINGS} == SETTINGS


@pytest.mark.parametrize("installation", [embedded], indirect=True)
def test_embedded_postgres_listens_on_a_socket_that_its_owner_alone_reaches(installation: Installation) -> None:
    assert installation.home is not None
    data = installation.home.postgres
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))
    with socket.create_server(("127.0.0.1", 0)):
        # What finds a listening port here finds one there.
        assert psutil.Process().net_connections(kind="inet") != []
    assert postmaster.net_connections(kind="inet") == []
    assert [at.laddr for at in postmaster.net_connections(kind="unix") if at.laddr] == [
        str(installation.socket_folder / ".s.PGSQL.5432")
    ]
    assert installation.admin("SHOW listen_addresses") == [("",)]
    for path in (data, installation.socket_folder, installation.socket_folder / ".s.PGSQL.5432"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
