"""Make ``.env`` from ``.env.example``, with a random value for each secret that has none, and a project name.

It also looks whether containers can read what docker-compose.yaml mounts.

What ``.env`` says already stays as it is, so running this again after an upgrade only adds
the secrets that are new. Runs on the standard library of any Python from 3.10 on.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(ROOT / "plugins"))
from taxiway_local.env_file import EnvFileError, read_env_text  # noqa: E402

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
PROJECT = "COMPOSE_PROJECT_NAME"
MOUNTED = ("dags", "plugins", "include", "config", "docker")
"""Folders of the checkout that docker-compose.yaml mounts."""

_EMPTY = ("", "''", '""')


def new_secret(name: str) -> str:
    """Return a random value for one of ``.env.example``'s empty lines.

    :param name: the variable; its ending says what kind of secret it is
    """
    if name == PROJECT:
        return f"taxiway-{secrets.token_hex(3)}"
    if name.endswith("_FERNET_KEY"):
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    # A password gets typed, or read out; a key never. 64 characters is what HS512 wants.
    return secrets.token_urlsafe(24 if name.endswith("_PASSWORD") else 48)


def fill(example: str, existing: str | None) -> tuple[str, list[str]]:
    """Put a value to every secret that has none.

    :param example: text of ``.env.example``; its secrets are the lines ``NAME=`` without a value
    :param existing: text of ``.env``, or None if there is none yet
    :return: the new text of ``.env``, and the names that got a value
    """
    wanted = [match[1] for match in map(_ASSIGNMENT.fullmatch, example.splitlines()) if match and match[2] in _EMPTY]
    lines = (example if existing is None else existing).splitlines()
    found = {}
    for number, line in enumerate(lines):
        match = _ASSIGNMENT.fullmatch(line)
        if match and match[1] in wanted:
            found[match[1]] = number, match[2] not in _EMPTY  # of two lines, the last one counts
    given = {name for name, (_, has_value) in found.items() if has_value}
    filled = [name for name in wanted if name not in given]
    for name in filled:
        # Every checkout was the project taxiway before: a .env with secrets from then keeps the name, and its data.
        value = "taxiway" if name == PROJECT and given else new_secret(name)
        if name in found:
            lines[found[name][0]] = f"{name}={value}"
        else:
            lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n", filled


def unreadable(root: Path) -> Path | None:
    """Return the first path below the mounted folders that others than its owner can't read; None if they can.

    :param root: the checkout
    """
    for folder in MOUNTED:
        for path in [root / folder, *sorted((root / folder).rglob("*"))]:
            wanted = 0o005 if path.is_dir() else 0o004
            if "__pycache__" not in path.parts and path.exists() and path.stat().st_mode & wanted != wanted:
                return path.relative_to(root)
    return None


def main(root: Path = ROOT) -> int:
    """Write ``.env`` beside ``.env.example``, readable by its owner only; return the exit code.

    :param root: the folder of both files, the checkout
    """
    target = root / ".env"
    try:
        existing = read_env_text(target)
    except EnvFileError as error:
        print(f"make_env: {error}", file=sys.stderr)
        return 1
    text, filled = fill((root / ".env.example").read_text(encoding="utf-8"), existing)
    if text != existing:
        draft = root / f".env.{os.getpid()}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    print(f"{target}: new values for {', '.join(filled)}" if filled else f"{target}: every secret has a value already")
    if found := unreadable(root):
        print(
            f"{root}: the containers can't read {found}, nor perhaps others. Run in this folder: "
            f"chmod -R go+rX {' '.join(MOUNTED)}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
