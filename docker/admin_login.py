"""Write the admin's password to the file that Airflow's simple auth manager logs users in by.

Runs in the container airflow-init, on the standard library alone. Reads
``AIRFLOW_ADMIN_PASSWORD`` and Airflow's own setting of the file's path,
``AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

USER = "admin"
PASSWORD_VARIABLE = "AIRFLOW_ADMIN_PASSWORD"  # noqa: S105 - a variable's name, not a password
FILE_VARIABLE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"


def write_login(path: Path, password: str) -> None:
    """Set the admin's password in a passwords file; other users in it keep theirs.

    The file is replaced in one step, so that a running API server never reads half of it.

    :param path: the JSON file, one user name and password a key; made if it is absent
    :param password: the admin's password, any text that isn't empty
    :raises ValueError: if the file holds anything but a JSON object
    """
    try:
        passwords = json.loads(path.read_text(encoding="utf-8") or "{}") if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(passwords, dict):
        raise ValueError(f"{path} holds {type(passwords).__name__}, not a JSON object of users and passwords")
    passwords[USER] = password
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(passwords) + "\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def main() -> int:
    """Run the script; return the exit code."""
    missing = [name for name in (PASSWORD_VARIABLE, FILE_VARIABLE) if not os.environ.get(name)]
    if missing:
        print(f"airflow-init: {' and '.join(missing)} not set: nothing was written", file=sys.stderr)
        return 1
    path = Path(os.environ[FILE_VARIABLE])
    try:
        write_login(path, os.environ[PASSWORD_VARIABLE])
    except ValueError as error:
        print(f"airflow-init: {error}: remove the file and run this again", file=sys.stderr)
        return 1
    print(f"airflow-init: user {USER} logs in with {PASSWORD_VARIABLE} of .env")
    return 0


if __name__ == "__main__":
    sys.exit(main())
