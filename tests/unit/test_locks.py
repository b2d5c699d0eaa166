"""The locks are complete: nothing that they install asks for a package, a version or an extra that they lack."""

from __future__ import annotations

import subprocess
from importlib.metadata import distributions

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from taxiway.paths import ROOT
from tests.locked import LOCKS, PYTHONS, applies, marker_environment, pins, requirements


def installed() -> dict[tuple[str, str], list[Requirement]]:
    """What every installed distribution asks for, by name and version."""
    return {
        (canonicalize_name(found.name), found.version): [Requirement(text) for text in found.requires or ()]
        for found in distributions()
    }


def unmet(
    pinned: dict[str, Requirement], environment: dict[str, str], asked: dict[tuple[str, str], list[Requirement]]
) -> list[str]:
    """Name each requirement that the pins don't meet: its package, its version or its extras."""
    missing = []
    for name, pin in pinned.items():
        (version,) = [specifier.version for specifier in pin.specifier]
        for wanted in asked.get((name, version), ()):
            if not applies(wanted, environment, pin.extras):
                continue
            met = pinned.get(canonicalize_name(wanted.name))
            if (
                met is None
                or not wanted.specifier.contains(next(iter(met.specifier)).version, prereleases=True)
                or not {canonicalize_name(extra) for extra in wanted.extras}
                <= {canonicalize_name(extra) for extra in met.extras}
            ):
                missing.append(f"{name} {version} asks for {wanted}, the lock has {met}")
    return missing


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_of_every_pin_is_pinned(lock: str, python: str) -> None:
    environment = marker_environment(python)
    pinned = pins(lock, environment)
    asked = installed()
    seen = [name for name, pin in pinned.items() if (name, next(iter(pin.specifier)).version) in asked]

    assert unmet(pinned, environment, asked) == []
    # Some releases differ by Python: what they ask for is seen when the suite runs there, and by make test-install.
    assert len(seen) > 0.75 * len(pinned)


@pytest.mark.parametrize("lock", LOCKS)
def test_here_every_pin_is_what_is_installed(lock: str) -> None:
    environment = {name: str(value) for name, value in default_environment().items()}

    wanted = {(name, next(iter(pin.specifier)).version) for name, pin in pins(lock, environment).items()}

    assert wanted - installed().keys() == set()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_what_we_chose_is_pinned_with_its_extras(lock: str, python: str) -> None:
    environment = marker_environment(python)
    pinned = pins(lock, environment)

    for chosen in requirements(ROOT / f"{lock}.in"):
        pin = pinned[canonicalize_name(chosen.name)]
        assert chosen.specifier.contains(next(iter(pin.specifier)).version), str(pin)
        assert chosen.extras <= pin.extras, str(pin)


@pytest.mark.parametrize("python", PYTHONS)
def test_locks_that_are_installed_together_agree(python: str) -> None:
    environment = marker_environment(python)
    first, *others = (pins(lock, environment) for lock in LOCKS)

    for other in others:
        assert [name for name in first.keys() & other.keys() if first[name].specifier != other[name].specifier] == []


def test_a_lost_extra_and_a_lost_package_are_found() -> None:
    """The lock that stopped installing had google-auth without its extra."""
    environment = marker_environment("3.11.15")
    pinned = pins("requirements", environment)
    assert pinned["google-auth"].extras >= {"pyopenssl"}

    without_extra = {**pinned, "google-auth": Requirement(f"google-auth{pinned['google-auth'].specifier}")}
    without_package = {name: pin for name, pin in pinned.items() if name != "greenlet"}  # wanted by an extra

    assert any("google-auth[pyopenssl]" in line for line in unmet(without_extra, environment, installed()))
    assert any("asks for greenlet" in line for line in unmet(without_package, environment, installed()))


def test_every_install_leaves_the_choice_to_the_lock() -> None:
    """With a resolver, the next release of any package could change what is installed, or end the install."""
    files = subprocess.run(
        ["git", "ls-files", "bin", "docker", "Dockerfile", "Makefile", ".ci"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    installs = [
        (name, line.strip())
        for name in files
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if "pip install " in line and not line.lstrip().startswith("#")
    ]

    assert {name for name, _ in installs} >= {"bin/make-venv", "Dockerfile"}
    for name, line in installs:
        assert {"--no-deps", "--require-hashes"} <= set(line.split()), f"{name}: {line}"
