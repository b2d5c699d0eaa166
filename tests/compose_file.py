"""Reads ``docker-compose.yaml`` as Docker Compose does, as far as the project makes use of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
COMPOSE_FILE = ROOT / "docker-compose.yaml"

ONE_SHOT = {"preflight", "postgres-init", "airflow-init"}
AIRFLOW_SERVICES = {"airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
SERVICES = ONE_SHOT | AIRFLOW_SERVICES | {"postgres", "pgadmin"}

_REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)"
    r"|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?])(?P<argument>[^{}$]*))?\}"
    r"|(?P<invalid>))"
)


class MissingVariableError(Exception):
    """A variable that the file says must be set, and isn't."""


def resolve(text: str, environment: Mapping[str, str]) -> str:
    """Put the environment's values into a text.

    :raises MissingVariableError: ``${NAME:?message}`` of a variable that is unset or empty
    :raises ValueError: a dollar sign that Compose refuses
    """

    def value_of(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        if match["invalid"] is not None:
            raise ValueError(f"{text!r}: a dollar sign that is no reference")
        name, operator, argument = match["plain"] or match["braced"], match["operator"] or "", match["argument"] or ""
        value = environment.get(name)
        if value is None or (operator.startswith(":") and not value):
            if operator.endswith("?"):
                raise MissingVariableError(f"{name}: {argument}")
            return argument if operator else ""
        return value

    return _REFERENCE.sub(value_of, text)


@cache
def raw() -> dict[str, Any]:
    """Return the file's content with anchors and merges resolved, and references as they are written."""
    content: dict[str, Any] = yaml.load(COMPOSE_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return content


def resolved(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the file's content as it is under an environment; see :func:`resolve`."""

    def walk(node: Any) -> Any:
        if isinstance(node, str):
            return resolve(node, environment)
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        return [walk(value) for value in node] if isinstance(node, list) else node

    result: dict[str, Any] = walk(raw())
    return result


def texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the value of every text below a node."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from texts(value, f"{path}.{key}")
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from texts(value, f"{path}[{position}]")


def required_variables() -> dict[str, set[str]]:
    """Return the variables that must be set, each with the messages that say so."""
    found: dict[str, set[str]] = {}
    for _, text in texts(raw()):
        for match in _REFERENCE.finditer(text):
            if (match["operator"] or "").endswith("?"):
                found.setdefault(match["braced"], set()).add(match["argument"])
    return found


def optional_variables() -> set[str]:
    """Return the variables that may be set: those with a default, and those that are only passed on."""
    names = {
        match["plain"] or match["braced"]
        for _, text in texts(raw())
        for match in _REFERENCE.finditer(text)
        if not match["escaped"]
    }
    passed_on = {
        name
        for service in raw()["services"].values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }
    return (names | passed_on) - set(required_variables())


def example_secrets() -> dict[str, str]:
    """Return a value for every required variable, each recognisable where it turns up."""
    return {name: f"the-{name.lower().replace('_', '-')}" for name in required_variables()}


PROJECT = "taxiway-1a2b3c"
"""Name of the project in :func:`services`: Compose itself sets COMPOSE_PROJECT_NAME, if nobody else does."""


def services(**environment: str) -> dict[str, dict[str, Any]]:
    """Return the services as they are with every secret set, and the given variables besides."""
    found: dict[str, dict[str, Any]] = resolved({**example_secrets(), "COMPOSE_PROJECT_NAME": PROJECT, **environment})[
        "services"
    ]
    return found


def dockerfile() -> str:
    """Return the text of the Dockerfile."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def airflow_version() -> str:
    """Return the version of Airflow that requirements.in chose."""
    match = re.search(r"^apache-airflow==(\S+)", (ROOT / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE)
    assert match
    return match[1]
