"""Whatever an editor made of ``.env``: read, or refused by one sentence that says what to do."""

from __future__ import annotations

import codecs
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.paths import ROOT
from taxiway_local.env_file import EnvFileError, read_assignments

TEXT = "FIRST=one\nSECOND='two é'\n"


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_utf8_is_read_with_any_line_end(mark: bytes, end: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(mark + TEXT.replace("\n", end).encode())

    assert read_assignments(tmp_path / ".env") == {"FIRST": "one", "SECOND": "two é"}


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=x\u2028y\x85z\x0cw\n", encoding="utf-8")

    assert read_assignments(tmp_path / ".env") == {"A": "x\u2028y\x85z\x0cw"}


UNREADABLE = [
    (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "found UTF-16"),
    (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "found UTF-16"),
    (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "found UTF-32"),
    (b"FIRST=1\n" + "Ä=".encode("utf-16-le"), "found the byte 0xC4 in line 2"),
    ("FIRST=1".encode("utf-16-le"), "found a NUL byte in line 1"),
    (TEXT.encode("latin-1"), "found the byte 0xE9 in line 2"),
]


@pytest.mark.parametrize(("content", "said"), UNREADABLE)
def test_other_text_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(content)

    with pytest.raises(EnvFileError) as caught:
        read_assignments(tmp_path / ".env")
    assert str(caught.value).startswith(f"{tmp_path / '.env'} can't be read: {said}")
    assert str(caught.value).endswith("expected UTF-8 text. Save it as UTF-8 and try again")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("TAXI PASSWORD hunter2", "found text without ="),
        ("PASSWORD: hunter2", "found text without ="),
        ('"private_key": "hunter2",', "found text without ="),
        ("=hunter2", "found = without a name before it"),
        ("MY PASSWORD=hunter2", "found a name that isn't letters, digits and _"),
        ("PASSWORD='hunter2", "found a quote that isn't closed, or text behind its end, in the value of PASSWORD"),
        (
            'PASSWORD="hunter2" hunter2',
            "found a quote that isn't closed, or text behind its end, in the value of PASSWORD",
        ),
        ("PASSWORD='a'hunter2'", "found a quote that isn't closed, or text behind its end, in the value of PASSWORD"),
    ],
)
def test_a_line_that_is_no_assignment_is_refused_without_its_secret(line: str, found: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# a comment\nA=1\n\n{line}\nB=2\n")

    with pytest.raises(EnvFileError) as caught:
        read_assignments(tmp_path / ".env")
    assert str(caught.value) == (
        f"{tmp_path / '.env'} can't be read: {found} in line 4, expected NAME=value, all in one line. "
        f"Correct the line, or put # before it"
    )


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """Docker makes one where a file that is to be mounted is absent."""
    (tmp_path / ".env").mkdir()

    with pytest.raises(EnvFileError, match=r"can't be read \(Is a directory\): expected a text file"):
        read_assignments(tmp_path / ".env")


def python(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as the virtual environment's, whose every start reads the settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**kept, "AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT / "plugins")},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(params=["UTF-16", "a line"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A home whose settings can't be read, or only the first of them."""
    for name in ("config", "dags", "include", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    utf16 = codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")
    (tmp_path / ".env").write_bytes(utf16 if request.param == "UTF-16" else b"FIRST=one\nTAXI PASSWORD hunter2\n")
    return tmp_path


SAID = (
    "found UTF-16, expected UTF-8 text. Save it as UTF-8 and try again",
    "found text without = in line 2, expected NAME=value, all in one line. Correct the line, or put # before it",
)


def test_python_starts_and_says_it_once(home: Path) -> None:
    done = python(home, "-c", "import taxiway_local.environment; print('started')")

    assert (done.returncode, done.stdout) == (0, "started\n")
    assert done.stderr in [f"Taxiway: {home / '.env'} can't be read: {said}\n" for said in SAID]


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "taxiway_local.setup"),
        ("-m", "taxiway_local.demo"),
        ("-m", "taxiway_local.demo_gcp"),
        ("-m", "taxiway_local.services", "up"),
        ("-m", "taxiway_local.psql"),
        ("-m", "airflow", "dags", "list"),
    ],
    ids=lambda command: command[1],
)
def test_no_command_works_with_half_of_its_settings(command: tuple[str, ...], home: Path) -> None:
    """It would load into another warehouse than the one that the file names."""
    done = python(home, *command)

    assert done.returncode == 2
    assert any(said in done.stderr for said in SAID)
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / ".taxiway").exists()


def test_make_env_reads_and_refuses_the_same(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "make_env.py", tmp_path / "docker")
    shutil.copy(ROOT / ".env.example", tmp_path)
    (tmp_path / "plugins").symlink_to(ROOT / "plugins")
    target = tmp_path / ".env"
    target.write_bytes(codecs.BOM_UTF8 + b"POSTGRES_PASSWORD=chosen\r\n")

    done = python(tmp_path, str(tmp_path / "docker" / "make_env.py"))

    assert done.returncode == 0, done.stderr
    assert target.read_text(encoding="utf-8").splitlines()[0] == "POSTGRES_PASSWORD=chosen"
    assert "POSTGRES_PASSWORD" not in done.stdout
    for content, said in UNREADABLE:
        target.write_bytes(content)
        done = python(tmp_path, str(tmp_path / "docker" / "make_env.py"))
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert target.read_bytes() == content
