"""Sizes, numbers, folders and flags are read as people write them, and anything else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.errors import SettingError
from taxiway.orchestration.downloads import CACHE_FOLDER, cache_in_force
from taxiway.paths import REPORTS_FOLDER, ROOT
from taxiway.reports.folder import reports_folder
from taxiway.settings import format_size, in_all_units, parse_flag, parse_folder, parse_number, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10 GiB", 10 * 1024**3),
        ("1.5GB", 1_500_000_000),
        (" 500 mb ", 500_000_000),
        ("64 KiB", 65_536),
        ("2 TiB", 2 * 1024**4),
        ("3 kB", 3_000),
        ("17 B", 17),
        ("1048576", 1_048_576),
        (1_048_576, 1_048_576),
        ("0", 0),
    ],
)
def test_size(text: str | int, size: int) -> None:
    assert parse_size(text, "limit") == size


@pytest.mark.parametrize("text", ["", "lots", "-1", "1 GiBs", "GiB", "1,5 GB", "1 G", "1e9", "None"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(SettingError, match=r"taxiway_cache_limit is '.*': expected a size such as 10 GiB"):
        parse_size(text, "taxiway_cache_limit")


@pytest.mark.parametrize(("text", "number"), [("1", 1), (" 7 ", 7), ("32", 32), ("007", 7)])
def test_number(text: str, number: int) -> None:
    assert parse_number(text, "sessions", 32) == number


@pytest.mark.parametrize("text", ["", "0", "33", "-1", "2.0", "many", "\u0663", "9" * 5000])
def test_what_is_no_number_in_the_range(text: str) -> None:
    with pytest.raises(SettingError, match=r"^sessions is '.{0,100}': expected a whole number from 1 to 32$"):
        parse_number(text, "sessions", 32)


@pytest.mark.parametrize("text", ["true", "True", " YES ", "on", "1", True])
def test_yes(text: str | bool) -> None:
    assert parse_flag(text, "flag") is True


@pytest.mark.parametrize("text", ["false", "False", "no", "Off", "0", False])
def test_no(text: str | bool) -> None:
    assert parse_flag(text, "flag") is False


@pytest.mark.parametrize("text", ["", "None", "perhaps", "2"])
def test_neither(text: str) -> None:
    with pytest.raises(SettingError, match=r"taxiway_use_cache is '.*': expected true or false"):
        parse_flag(text, "taxiway_use_cache")


@pytest.mark.parametrize(
    ("text", "folder"),
    [("/data/x", Path("/data/x")), (" data ", ROOT / "data"), ("~/x", Path.home() / "x"), ("a~b", ROOT / "a~b")],
)
def test_folder(text: str, folder: Path) -> None:
    assert parse_folder(text, "folder") == folder


@pytest.mark.parametrize("variable", ["taxiway_reports_folder", "taxiway_cache_folder"])
def test_a_folder_below_an_unknown_users_home(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", "~no-such-user/x")

    with pytest.raises(SettingError) as caught:
        cache_in_force() if variable == "taxiway_cache_folder" else reports_folder("~no-such-user/x")

    assert str(caught.value) == (
        f"{variable} is '~no-such-user/x': this machine knows no home folder of that user; expected a path such as "
        f"/data/taxiway. Correct the Variable {variable}"
    )


def test_an_empty_variable_leaves_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", " ")

    assert cache_in_force().folder == CACHE_FOLDER
    assert reports_folder(" ") == REPORTS_FOLDER


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (5e9, "5.0 GB"), (2e15, "2000.0 TB")],
)
def test_size_for_people(size: float, text: str) -> None:
    assert format_size(size) == text


def test_a_size_in_all_units_answers_whoever_counts_in_any() -> None:
    """The course asks for the size of yellow 2020-12, unpacked."""
    assert in_all_units(134_481_400) == "134481400 bytes (134.5 MB, 128.3 MiB)"
    assert in_all_units(0) == "0 bytes (0.0 MB, 0.0 MiB)"
