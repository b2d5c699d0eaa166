"""The admin's login, as docker/admin_login.py writes it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compose_file import ROOT

FILE_VARIABLE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"


def admin_login(file: Path, password: str) -> subprocess.CompletedProcess[str]:
    environment = {FILE_VARIABLE: str(file), "AIRFLOW_ADMIN_PASSWORD": password}
    command = [sys.executable, str(ROOT / "docker" / "admin_login.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_login_is_written_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    done = admin_login(file, 'say "so" \\ é')
    assert done.returncode == 0, done.stderr
    assert json.loads(file.read_text(encoding="utf-8")) == {"admin": 'say "so" \\ é'}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["passwords.json"]
    assert "say" not in done.stdout + done.stderr


def test_a_new_password_replaces_the_admin_s_and_nobody_else_s(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    file.write_text('{"admin": "old", "viewer": "kept"}\n', encoding="utf-8")
    assert admin_login(file, "new").returncode == 0
    assert json.loads(file.read_text(encoding="utf-8")) == {"admin": "new", "viewer": "kept"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["[]", '{"admin": '])
def test_a_damaged_passwords_file_is_named_and_left(tmp_path: Path, content: str) -> None:
    file = tmp_path / "passwords.json"
    file.write_text(content, encoding="utf-8")
    done = admin_login(file, "new")
    assert done.returncode == 1
    assert "airflow-init: " in done.stderr
    assert str(file) in done.stderr
    assert file.read_text(encoding="utf-8") == content


def test_without_a_password_nothing_is_written(tmp_path: Path) -> None:
    done = admin_login(tmp_path / "passwords.json", "")
    assert done.returncode == 1
    assert "AIRFLOW_ADMIN_PASSWORD not set" in done.stderr
    assert list(tmp_path.iterdir()) == []
