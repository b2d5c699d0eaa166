"""Each check of the doctor has a test that breaks what it looks at, and follows its advice until all is fine."""

from __future__ import annotations

import ast

import pytest

from taxiway.cli.doctor.command import all_checks
from taxiway.paths import ROOT
from taxiway_local.doctor import OWN_CHECKS

UNIT, AIRFLOW, POSTGRES, BIGQUERY = (
    f"tests/{name}.py"
    for name in (
        "unit/test_doctor",
        "integration/test_doctor",
        "integration/test_doctor_postgres",
        "integration/test_doctor_bigquery",
    )
)
LOCAL, VENV = "tests/integration/test_local_commands.py", "tests/unit/test_make_venv.py"

ALL_AT_ONCE = f"{AIRFLOW}::test_each_broken_thing_has_its_line"
ABSENT = f"{AIRFLOW}::test_connections_that_are_absent"
SERVICES = (f"{AIRFLOW}::test_services_that_have_died", f"{LOCAL}::test_up_and_down")

TESTS = {
    "settings": [f"{UNIT}::test_a_setting_that_is_none"],
    "setup": [
        f"{UNIT}::test_a_checkout_that_has_moved",
        f"{LOCAL}::test_setup_then_demo",
        f"{LOCAL}::test_up_and_down",
    ],
    "Python": [
        f"{UNIT}::test_a_python_that_is_too_old",
        f"{VENV}::test_a_named_python_that_does_not_fit_is_refused_and_no_other_is_taken",
    ],
    "packages": [f"{VENV}::test_the_doctor_advises_what_installs_the_versions_of_the_lock"],
    "disk": [f"{UNIT}::test_a_disk_without_room"],
    "memory": [f"{UNIT}::test_memory_is_what_linux_says"],
    "sources": [f"{AIRFLOW}::test_a_source_that_is_wrong"],
    "time zone": [f"{AIRFLOW}::test_a_time_zone_that_nobody_knows"],
    "DAGs": [ALL_AT_ONCE],
    "metadata": [ALL_AT_ONCE],
    "executor": [ALL_AT_ONCE],
    "api server": [*SERVICES],
    "scheduler": [*SERVICES],
    "dag processor": [*SERVICES],
    "triggerer": [*SERVICES],
    "runs": [f"{AIRFLOW}::test_a_run_that_nobody_works_on"],
    "mirror tlc_mirror": [ALL_AT_ONCE, ABSENT],
    "mirror tlc_official": [ALL_AT_ONCE],
    "clock": [f"{AIRFLOW}::test_the_clock_of_this_machine_is_set_right"],
    "cache": [f"{AIRFLOW}::test_a_cache_that_does_not_fit"],
    "alerts": [f"{AIRFLOW}::test_alerts_that_would_reach_nobody"],
    "Postgres server": [
        f"{POSTGRES}::test_a_server_that_is_only_read",
        f"{POSTGRES}::test_a_server_that_is_too_old_or_of_another_encoding",
        ALL_AT_ONCE,
        ABSENT,
    ],
    "Postgres rights": [f"{POSTGRES}::test_rights_that_are_missing"],
    "Postgres durability": [f"{POSTGRES}::test_fsync_that_is_off"],
    "Postgres sessions": [f"{POSTGRES}::test_sessions_that_are_taken"],
    "Postgres staging tables": [f"{POSTGRES}::test_tables_that_a_run_has_left"],
    "Postgres attempts": [f"{POSTGRES}::test_an_attempt_whose_worker_is_gone"],
    "Postgres locks": [f"{POSTGRES}::test_a_session_that_keeps_others_waiting"],
    "BigQuery settings": [f"{BIGQUERY}::test_settings_that_are_wrong"],
    "BigQuery bucket": [
        f"{BIGQUERY}::test_what_gcp_setup_creates",
        f"{BIGQUERY}::test_a_bucket_of_someone_else_and_one_without_its_rule",
    ],
    "BigQuery dataset": [
        f"{BIGQUERY}::test_what_gcp_setup_creates",
        f"{BIGQUERY}::test_a_dataset_that_drops_its_tables",
    ],
    "BigQuery roles": [f"{BIGQUERY}::test_roles_that_are_missing"],
}


def test_each_check_has_its_tests() -> None:
    assert list(TESTS) == [check.name for check in (*OWN_CHECKS, *all_checks(None))]


@pytest.mark.parametrize("path", sorted({test.partition("::")[0] for tests in TESTS.values() for test in tests}))
def test_these_tests_are_there(path: str) -> None:
    there = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}
    named = {test.partition("::")[2] for tests in TESTS.values() for test in tests if test.startswith(f"{path}::")}

    assert named - there == set()
