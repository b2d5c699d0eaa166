"""docs/commands.md describes every command of ``airflow taxi``, with all of its options."""

from __future__ import annotations

import re

import pytest
from airflow.cli.cli_config import ActionCommand

from taxiway.cli.commands import group
from taxiway.cli.output import FINDINGS, FINE, USAGE
from taxiway.paths import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS: list[ActionCommand] = list(group().subcommands)
OF_ALL = "What all commands have"


def options(text: str) -> set[str]:
    """The options that the tables of a text describe."""
    cells = re.findall(r"^\| (`-.*?) \|", text, re.MULTILINE)
    return {option for cell in cells for option in re.findall(r"`(-[^`]+)`", cell)}


def test_each_command_has_a_section_and_a_line_in_the_first_table() -> None:
    titles = [f"`airflow taxi {command.name}`" for command in COMMANDS]

    assert [title for title in SECTIONS if title != OF_ALL] == titles
    assert re.findall(r"^\| \[(`airflow taxi [a-z]+`)\]", PAGE, re.MULTILINE) == titles


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_option_is_described(command: ActionCommand) -> None:
    flags = {flag for arg in command.args for flag in arg.flags if flag.startswith("-")}
    described = options(SECTIONS[f"`airflow taxi {command.name}`"]) | options(SECTIONS[OF_ALL])

    assert described == flags


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_help_has_examples_that_the_command_takes(command: ActionCommand) -> None:
    flags = {flag for arg in command.args for flag in arg.flags}
    examples = (command.epilog or "").splitlines()[1:]

    assert len(examples) >= 2
    for example in examples:
        words = example.split()
        assert words[1:3] == ["taxi", command.name]
        assert {word for word in words if word.startswith("-")} <= flags


def test_the_exit_codes_are_those_of_the_page() -> None:
    assert re.findall(r"^\| (\d) \|", SECTIONS[OF_ALL], re.MULTILINE) == [str(FINE), str(FINDINGS), str(USAGE)]
