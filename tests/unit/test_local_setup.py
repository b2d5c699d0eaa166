"""Where and by whom an installation can be set up; elsewhere it is refused in a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.errors import SettingError
from taxiway.paths import ROOT
from taxiway.program import PROGRAM_VARIABLE
from taxiway_local import postgres_server
from taxiway_local.home import Home
from taxiway_local.setup import airflow_environment, refuse_path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/a/$HOME/b", r"takes \$HOME in its path for a variable"),
        ("/a/${X}", r"takes \$\{X\} in its path for a variable"),
        ("/a\nb", "a line's end, another control character"),
        ("/a\udce9", "bytes that aren't UTF-8"),
    ],
)
def test_a_path_that_airflow_reads_as_another_is_refused(path: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as caught:
        refuse_path(Path(path))
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith("Move or rename the folder, and try again")


@pytest.mark.parametrize("path", ["/a b", "/100%", "/$5", "/a$ b", "/é日本\u3000", "/-a", "/{x}", "/'\"#`\\"])
def test_any_other_path_is_taken(path: str) -> None:
    refuse_path(Path(path))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a:b", "a colon"),
        ("a\nb", "a line's end"),
        ("a\n", "a line's end"),
        ("a $HOME", "a dollar sign before a name"),
        ("${a}", "a dollar sign before a name"),
    ],
)
def test_a_folder_that_no_virtual_environment_can_have_is_refused_first(name: str, found: str, tmp_path: Path) -> None:
    checkout = tmp_path / name
    checkout.mkdir()
    shutil.copy(ROOT / "Makefile", checkout)
    shutil.copy(ROOT / "requirements.txt", checkout)
    (checkout / "bin").symlink_to(ROOT / "bin")
    kept = {variable: value for variable, value in os.environ.items() if "MAKE" not in variable}

    done = subprocess.run(
        ["make", "setup"], cwd=checkout, env=kept, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert f"Its path has {found} in it: move or rename the folder, and try again" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_checkout_behind_a_link_keeps_its_environment(tmp_path: Path) -> None:
    """The Makefile makes the environment anew if the checkout has moved, and a link to it is no move."""
    checkout, link = tmp_path / "checkout", tmp_path / "link"
    (checkout / ".venv").mkdir(parents=True)
    (checkout / ".venv" / ".path").write_text(f"{checkout.resolve()}\n")
    shutil.copy(ROOT / "Makefile", checkout)
    link.symlink_to(checkout)
    kept = {**os.environ, "PWD": str(link)}

    call = ["make", "--dry-run", "lock"]
    subprocess.run(call, cwd=link, env=kept, capture_output=True, timeout=60, check=False)
    assert (checkout / ".venv" / ".path").exists()

    checkout.rename(tmp_path / "moved")
    subprocess.run(call, cwd=tmp_path / "moved", env=kept, capture_output=True, timeout=60, check=False)
    assert not (tmp_path / "moved" / ".venv").exists()


def test_the_servers_user_is_made_by_a_program_that_path_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root without /usr/sbin in PATH has no useradd there. This one only notes how it was called."""
    useradd = tmp_path / "useradd"
    useradd.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/called"\necho "no room" >&2\nexit 1\n')
    useradd.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(postgres_server, "_ADMIN_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(postgres_server, "_SYSTEM_USER", "nobodysserver")

    with pytest.raises(postgres_server.ServerError, match=r"can't be made \(no room\): make it \(useradd --system"):
        postgres_server._system_user()
    assert (tmp_path / "called").read_text().split()[-1] == "nobodysserver"

    useradd.unlink()
    with pytest.raises(postgres_server.ServerError, match=r"\(no program useradd\).*work as a user that isn't root"):
        postgres_server._system_user()


def test_airflows_processes_find_this_python_by_its_name(tmp_path: Path) -> None:
    """Tasks with an environment of their own call it so."""
    path = airflow_environment(Home(tmp_path))["PATH"]
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"

    found = shutil.which(name, path=path)

    assert found is not None
    assert Path(found).parent == Path(sys.executable).parent


def test_airflows_services_advise_the_command_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has called them: their logs and the board are read by the person who typed ``make up``."""
    monkeypatch.delenv(PROGRAM_VARIABLE, raising=False)
    assert airflow_environment(Home(tmp_path))[PROGRAM_VARIABLE] == "bin/airflow"

    monkeypatch.setenv(PROGRAM_VARIABLE, "../bin/airflow")
    assert airflow_environment(Home(tmp_path))[PROGRAM_VARIABLE] == "../bin/airflow"
