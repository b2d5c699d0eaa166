"""Refuse keys that Airflow would start with, and fail with later.

Runs in the container airflow-init, on the standard library alone. Airflow's services become healthy with a malformed
Fernet key or a short JWT secret. Then the first stored connection fails, or tokens can be guessed.
"""

from __future__ import annotations

import base64
import os
import sys

FERNET_VARIABLE = "AIRFLOW__CORE__FERNET_KEY"
JWT_VARIABLE = "AIRFLOW__API_AUTH__JWT_SECRET"
FERNET_BYTES = 32
JWT_BYTES = 64
"""Bytes that HS512, which Airflow signs tokens with, wants of a key: RFC 7518, section 3.2."""

NEW_FERNET_KEY = "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
NEW_JWT_SECRET = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"  # noqa: S105 - a command


def is_fernet_key(text: str) -> bool:
    """Say whether a text is what Airflow takes for Fernet keys: one, or several with commas between."""
    try:
        return all(len(base64.urlsafe_b64decode(part)) == FERNET_BYTES for part in text.split(","))
    except ValueError:
        return False


def problems(fernet_key: str, jwt_secret: str) -> list[str]:
    """Return what is wrong with the two keys, each with the command that makes a good one."""
    found = []
    if not is_fernet_key(fernet_key):
        found.append(
            "AIRFLOW_FERNET_KEY is not a Fernet key: expected 32 bytes in URL-safe base64, 44 characters. "
            f"Set it in .env to what this prints: {NEW_FERNET_KEY}"
        )
    length = len(jwt_secret.encode())
    if length < JWT_BYTES:
        found.append(
            f"AIRFLOW_JWT_SECRET has {length} characters: expected at least {JWT_BYTES}. "
            f"Set it in .env to what this prints: {NEW_JWT_SECRET}"
        )
    return found


def main() -> int:
    """Run the check; return the exit code."""
    found = problems(os.environ.get(FERNET_VARIABLE, ""), os.environ.get(JWT_VARIABLE, ""))
    for problem in found:
        print(f"airflow-init: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
