"""The locks read as pip reads them: which release of a package, with which extras, a Python gets."""

from __future__ import annotations

from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from taxiway.paths import ROOT

LOCKS = ("requirements", "requirements-dev", "requirements-bench", "dags/learn/docker_pulls")

PYTHONS = ("3.10.0", "3.11.0", "3.11.15", "3.12.0", "3.13.0")
"""The first of each supported line, and a late 3.11: a pin differs below 3.11.3, which Debian 12 has (3.11.2)."""


def marker_environment(python: str) -> dict[str, str]:
    """Return what markers see on this machine under another Python.

    :param python: its full version, for example ``3.12.0``
    """
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "implementation_version": python,
    }


def requirements(path: Path) -> list[Requirement]:
    """Return the requirements of a lock or of an ``.in`` file, without hashes, options and comments."""
    lines = (line.partition(" #")[0].strip().removesuffix("\\") for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def applies(requirement: Requirement, environment: dict[str, str], extras: set[str] | None = None) -> bool:
    """Say whether a requirement counts in an environment.

    :param extras: the extras that were asked for of the package whose requirement it is
    """
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in {"", *(extras or ())})


def pins(lock: str, environment: dict[str, str]) -> dict[str, Requirement]:
    """Return what a lock pins in an environment, by the package's normal name.

    :param lock: one of :data:`LOCKS`
    :raises AssertionError: the lock pins a package twice there, or without ``==``
    """
    found: dict[str, Requirement] = {}
    for pin in requirements(ROOT / f"{lock}.txt"):
        if applies(pin, environment):
            name = canonicalize_name(pin.name)
            assert name not in found, f"{lock}.txt pins {name} twice: {found[name]} and {pin}"
            assert [specifier.operator for specifier in pin.specifier] == ["=="], str(pin)
            found[name] = pin
    return found
