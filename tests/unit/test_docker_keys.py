"""The keys of Airflow that a start is refused with, docker/check_keys.py."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from tests.compose_file import ROOT

GOOD_KEY = base64.urlsafe_b64encode(bytes(32)).decode()  # the same in every process: it is part of names of tests
GOOD_SECRET = "s" * 64


def check_keys(fernet_key: str | None, jwt_secret: str | None) -> subprocess.CompletedProcess[str]:
    given = {"AIRFLOW__CORE__FERNET_KEY": fernet_key, "AIRFLOW__API_AUTH__JWT_SECRET": jwt_secret}
    environment = {name: value for name, value in given.items() if value is not None}
    command = [sys.executable, str(ROOT / "docker" / "check_keys.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("key", [GOOD_KEY, f"{GOOD_KEY},{Fernet.generate_key().decode()}"], ids=["one", "rotated"])
def test_keys_that_work_pass(key: str) -> None:
    done = check_keys(key, GOOD_SECRET)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("key", [None, "", "secret", GOOD_KEY[:-4], GOOD_KEY + ",short", f"{GOOD_KEY},", "é" * 44])
def test_a_malformed_fernet_key_is_refused_with_the_command_that_makes_one(key: str | None) -> None:
    if key:
        with pytest.raises(ValueError):  # noqa: PT011 - what Airflow would meet later
            [Fernet(part.encode()) for part in key.split(",")]
    done = check_keys(key, GOOD_SECRET)
    assert done.returncode == 1
    assert done.stderr.startswith("airflow-init: AIRFLOW_FERNET_KEY is not a Fernet key")
    assert key is None or len(key) < 5 or key not in done.stderr
    advice = done.stderr.rsplit("prints: ", 1)[1].strip()
    made = subprocess.run(["sh", "-c", advice], capture_output=True, text=True, check=True).stdout.strip()
    assert check_keys(made, GOOD_SECRET).returncode == 0


@pytest.mark.parametrize("secret", [None, "", "s" * 63])
def test_a_short_jwt_secret_is_refused_with_the_command_that_makes_one(secret: str | None) -> None:
    done = check_keys(GOOD_KEY, secret)
    assert done.returncode == 1
    assert f"AIRFLOW_JWT_SECRET has {len(secret or '')} characters: expected at least 64" in done.stderr
    advice = done.stderr.rsplit("prints: ", 1)[1].strip()
    made = subprocess.run(["sh", "-c", advice], capture_output=True, text=True, check=True).stdout.strip()
    assert check_keys(GOOD_KEY, made).returncode == 0


def test_both_keys_are_named_at_once() -> None:
    assert len(check_keys("", "").stderr.splitlines()) == 2
