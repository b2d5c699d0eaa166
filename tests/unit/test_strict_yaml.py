"""What a YAML file may hold: keys, values and lists, and nothing that means more."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from taxiway.errors import SourceConfigError
from taxiway.sources.strict_yaml import MAX_BYTES, MAX_DEPTH, StrictYaml, parse_strict_yaml, read_yaml, shown


def parsed(path: Path) -> StrictYaml:
    return parse_strict_yaml(path, read_yaml(path))


def read(folder: Path, text: str) -> Any:
    path = folder / "green.yaml"
    path.write_text(text, encoding="utf-8")
    held, sha256, _ = parsed(path)
    assert sha256 == hashlib.sha256(text.encode()).hexdigest()
    return held


def refused(folder: Path, text: str) -> str:
    """What is said of the file, behind its name."""
    with pytest.raises(SourceConfigError) as caught:
        read(folder, text)
    path, _, said = str(caught.value).partition(": ")
    assert path == str(folder / "green.yaml")
    return said


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("a: 1\nb: [x, {c: grün}]\n", {"a": 1, "b": ["x", {"c": "grün"}]}),
        ("a: {b: x}\nb: {b: x}\n", {"a": {"b": "x"}, "b": {"b": "x"}}),
        ("- []\n" * 2 * MAX_DEPTH, [[]] * 2 * MAX_DEPTH),
        ("a: " + "x" * (MAX_BYTES - 3), {"a": "x" * (MAX_BYTES - 3)}),
    ],
    ids=["nested", "a key in two mappings", "many lists side by side", "the largest file"],
)
def test_keys_values_and_lists_are_read(text: str, held: object, tmp_path: Path) -> None:
    assert read(tmp_path, text) == held


def test_lists_within_each_other_are_read_as_deep_as_they_may_be(tmp_path: Path) -> None:
    held = read(tmp_path, "[" * MAX_DEPTH + "]" * MAX_DEPTH)

    for _ in range(MAX_DEPTH - 1):
        (held,) = held
    assert held == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: x\nb: *a", 'anchors and aliases have no place here in "<unicode string>", line 2, column 4'),
        ("a: &a x", 'anchors and aliases have no place here in "<unicode string>", line 1, column 4'),
        ("a: &a [x]", 'anchors and aliases have no place here in "<unicode string>", line 1, column 4'),
        ("a: !b c", 'the tag !b has no place here in "<unicode string>", line 1, column 4'),
        ("a: !b [c]", 'the tag !b has no place here in "<unicode string>", line 1, column 4'),
        (
            "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
            f'more than {MAX_DEPTH} levels in "<unicode string>", line 1, column {MAX_DEPTH + 1}',
        ),
        ("a:\n  b: x\n  c: y\n  b: z", "the key 'b' is given twice in \"<unicode string>\", line 2, column 3"),
        ("a:\n  <<: {b: x}", 'the key << has no place here in "<unicode string>", line 2, column 3'),
        ("a: b: c", 'mapping values are not allowed in this context in "<unicode string>", line 1, column 5'),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text).startswith(f"not a YAML file: {said}")


def test_a_long_complaint_is_cut(tmp_path: Path) -> None:
    assert refused(tmp_path, f"a: !{'b' * 1000} c") == f"not a YAML file: the tag !{'b' * 491}"


def test_a_larger_file_is_not_read(tmp_path: Path) -> None:
    assert refused(tmp_path, "a: " + "x" * (MAX_BYTES - 2)) == (
        f"has {MAX_BYTES + 1} bytes: expected at most {MAX_BYTES}"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceConfigError) as caught:
        parsed(tmp_path / "lime.yaml")

    assert str(caught.value) == f"{tmp_path}/lime.yaml: no such source: expected a YAML file there"


def test_values_are_shown_shortened() -> None:
    assert shown({"a": [1, "b"]}) == "{'a': [1, 'b']}"
    assert len(shown("x" * 1000)) == 120
    assert shown(10**5000) == "a number of too many digits"


def test_the_line_of_a_value_is_found(tmp_path: Path) -> None:
    path = tmp_path / "green.yaml"
    path.write_text("# a comment\na: 1\nb:\n  - c: x\n    d: y\n  - {c: z}\ne: [v,\n  w]\n")

    found = parsed(path)

    places = [(), ("a",), ("b",), ("b", 0), ("b", 0, "d"), ("b", 1, "c"), ("e", 1)]
    assert [found.line_of(place) for place in places] == [1, 2, 3, 4, 5, 6, 8]
    # Of what isn't there, the line of what it should be in.
    absent: list[tuple[str | int, ...]] = [("z",), ("b", 1, "d"), ("b", 2), ("a", "x"), ("b", "c")]
    assert [found.line_of(place) for place in absent] == [1, 6, 3, 2, 3]


def test_a_file_that_holds_nothing_has_one_line(tmp_path: Path) -> None:
    path = tmp_path / "green.yaml"
    path.write_text("")

    assert parsed(path).line_of(("a",)) == 1


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "lime.yaml").mkdir()

    with pytest.raises(SourceConfigError) as caught:
        parsed(tmp_path / "lime.yaml")

    assert str(caught.value) == f"{tmp_path}/lime.yaml: can't be read: Is a directory: expected a file that may be read"
