"""A source names the hosts that its mirror may redirect to."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.errors import SourceConfigError
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import Source, load_source

LINE = "allowed_redirect_hosts: [release-assets.githubusercontent.com, objects.githubusercontent.com]\n"


def source_with(tmp_path: Path, line: str) -> Source:
    text = (SOURCES_FOLDER / "green.yaml").read_text()
    assert LINE in text
    path = tmp_path / "green.yaml"
    path.write_text(text.replace(LINE, line))
    return load_source(path)


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_files_of_a_github_release_lie_on_its_asset_hosts(name: str) -> None:
    hosts = load_source(SOURCES_FOLDER / f"{name}.yaml").allowed_redirect_hosts
    assert hosts == ("release-assets.githubusercontent.com", "objects.githubusercontent.com")


def test_key_may_be_left_out(tmp_path: Path) -> None:
    assert source_with(tmp_path, "").allowed_redirect_hosts == ()


def test_port_may_be_named(tmp_path: Path) -> None:
    source = source_with(tmp_path, "allowed_redirect_hosts: [files.example.com, '127.0.0.1:8000']\n")
    assert source.allowed_redirect_hosts == ("files.example.com", "127.0.0.1:8000")


@pytest.mark.parametrize(
    "value",
    [
        "files.example.com",
        "[https://files.example.com]",
        "[files.example.com/path]",
        "['*.example.com']",
        "[Files.example.com]",
        "['user@example.com']",
        "['']",
        "[1]",
        "null",
        "['.example.com']",
    ],
)
def test_anything_but_host_names_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SourceConfigError, match=r"green\.yaml:[0-9]+: allowed_redirect_hosts.* is .*lower-case host"):
        source_with(tmp_path, f"allowed_redirect_hosts: {value}\n")
