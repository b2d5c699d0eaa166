"""Hostile texts for every key of a source's YAML and for the month: refused, or without effect."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from taxiway.errors import InvalidMonthError, SettingError, SourceConfigError
from taxiway.paths import SOURCES_FOLDER
from taxiway.settings import parse_size
from taxiway.sources.checks import Check
from taxiway.sources.months import MONTH_PATTERN, Month
from taxiway.sources.source import Source, find_source, load_source
from taxiway.sources.strict_yaml import MAX_BYTES

HOSTILE = {
    "sql": "2019-01'; DROP TABLE taxiway.loads; --",
    "sql_identifier": 'x"; DROP TABLE y; --',
    "dollars": "x$$; DROP TABLE y; $$",
    "path": "../../etc/passwd",
    "path_of_windows": "..\\..\\etc",
    "absolute_path": "/etc/passwd",
    "jinja": "{{ 7*7 }}",
    "jinja_statement": "{% set x = 1 %}",
    "placeholder": "%(month)s",
    "percent": "100%s",
    "format": "{month.__class__}",
    "backslash": "a\\b",
    "newline": "2019-01\n",
    "carriage_return": "2019-01\r",
    "nul": "2019-01\x00",
    "escape": "\x1b[31mred",
    "bell": "ding\x07",
    "surrogate": "x\ud800",
    "digits_of_another_script": "\uff12\uff10\uff11\uff19-01",
    "letters_of_another_script": "gr\u0435en",
    "space": "a b",
    "long": "a" * 100_000,
    "empty": "",
    "blank": " \t\n",
    "number": 201901,
    "big_number": 10**4000,
    "not_a_number": float("nan"),
    "infinite": float("inf"),
    "true": True,
    "null": None,
    "list": ["2019-01"],
    "nested": [[[["x"]]]],
    "mapping": {"2019-01": "x"},
}

TEXTS_OF_PEOPLE = {
    "sql",
    "sql_identifier",
    "dollars",
    "path",
    "path_of_windows",
    "absolute_path",
    "jinja",
    "jinja_statement",
    "placeholder",
    "percent",
    "format",
    "backslash",
    "newline",
    "digits_of_another_script",
    "letters_of_another_script",
    "space",
}
"""What a title, a description or a message may hold: tests/sql shows that it stays the text that it is."""

FITTING = {
    "allow_empty": {"true"},
    "approval": {"true"},
    "max_file_size": {"number"},
    "max_unpacked_size": {"number"},
    "tags": {"list"},
    "allowed_redirect_hosts": {"list"},
}
"""What is, for once, a value of the key, and means nothing to anybody else."""


@cache
def _green() -> dict[str, Any]:
    text = (SOURCES_FOLDER / "green.yaml").read_text(encoding="utf-8")
    green = dict(yaml.safe_load(text))
    # A few columns do, and are read quickly.
    report = {"pickup_time": green["report"]["pickup_time"]}
    names = {"VendorID", *report.values(), *(check.get("column") for check in green["checks"][:1])}
    columns = [column for column in green["columns"] if column["name"] in names]
    return {**green, "columns": columns, "checks": green["checks"][:1], "report": report}


def document() -> dict[str, Any]:
    return deepcopy(_green())


KEYS = ["title", "releases", "schedule", "main_table", "owner", "tags", "columns"]
KEYS += [
    "period",
    "timezone",
    "on_new_column",
    "publication_lag_days",
    "allow_empty",
    "max_rejected_share",
    "max_deleted_share",
    "approval",
    "max_file_size",
    "max_unpacked_size",
    "allowed_redirect_hosts",
    "checks",
    "report",
]


def write(folder: Path, content: object, name: str = "green") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(SourceConfigError) as caught:
        load_source(path)
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 2_000
    assert message.isprintable()
    return message


def test_every_key_is_tried() -> None:
    with pytest.raises(SourceConfigError) as caught:
        load_source(SOURCES_FOLDER / "nothing.yaml")
    assert "no such source" in str(caught.value)
    assert set(document()) <= set(KEYS)
    source = set(Source.__dataclass_fields__) - {"name", "yaml_sha256"}
    assert source == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_value_of_a_key_is_refused(key: str, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, {**document(), key: HOSTILE[kind]})

    if (key == "title" and kind in TEXTS_OF_PEOPLE) or kind in FITTING.get(key, ()):
        found = getattr(load_source(path), key)
        assert (list(found) if isinstance(found, tuple) else found) == HOSTILE[kind]
    else:
        said = refused(path)
        assert key in said or "not a YAML file" in said


@pytest.mark.parametrize("key", ["tags", "allowed_redirect_hosts"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_entry_of_a_list_is_refused(key: str, kind: str, tmp_path: Path) -> None:
    refused(write(tmp_path, {**document(), key: ["fine", HOSTILE[kind]]}))


@pytest.mark.parametrize("key", ["from", "to", "connection", "path", "format"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_release_is_refused(key: str, kind: str, tmp_path: Path) -> None:
    content = document()
    content["releases"][0] = {**content["releases"][0], key: HOSTILE[kind]}
    assert f"releases[0].{key} is" in (said := refused(write(tmp_path, content))) or "not a YAML file" in said


@pytest.mark.parametrize("key", ["name", "type", "description"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_column_is_refused(key: str, kind: str, tmp_path: Path) -> None:
    content = document()
    content["columns"][0] = {**content["columns"][0], key: HOSTILE[kind]}
    path = write(tmp_path, content)

    if key == "description" and kind in TEXTS_OF_PEOPLE:
        assert load_source(path).columns[0].description == HOSTILE[kind]
    elif not (key == "name" and kind == "long"):
        refused(path)


@pytest.mark.parametrize("key", [*Check.__dataclass_fields__])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_check_is_refused(key: str, kind: str, tmp_path: Path) -> None:
    content = document()
    assert content["checks"]
    content["checks"][0] = {**content["checks"][0], key: HOSTILE[kind]}
    path = write(tmp_path, content)

    if key == "message" and kind in TEXTS_OF_PEOPLE:
        assert load_source(path).checks[0].message == " ".join(str(HOSTILE[kind]).split())
    else:
        refused(path)


@pytest.mark.parametrize(
    "path_below",
    [
        "../green/{file}",
        "green/../../{file}",
        "green/..",
        "/green/{file}",
        "//mirror.test/{file}",
        "http://mirror.test/{file}",
        "green//{file}",
        "./green/{file}",
        "green/{file}/",
        "green/./{file}",
        "green\\{file}",
        "green/%2e%2e/{file}",
        "green/{file}?x=1",
        "green/{file}#x",
        "user@green/{file}",
        "gr een/{file}",
        "green/{{ x }}/{file}",
        "g" * 400 + "/{file}",
    ],
)
def test_a_path_stays_below_the_mirror(path_below: str, tmp_path: Path) -> None:
    content = document()
    release = content["releases"][0]
    file = release["path"].rpartition("/")[2]
    release["path"] = path_below.replace("{file}", file)
    assert "path is" in refused(write(tmp_path, content))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_key_is_refused(kind: str, tmp_path: Path) -> None:
    key = HOSTILE[kind]
    if isinstance(key, list | dict):
        key = str(key)
    said = refused(write(tmp_path, {**document(), key: "x"}))
    assert "unknown keys" in said or "not a YAML file" in said


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "anchors and aliases have no place here"),
        ("tags: &t [*t]", "anchors and aliases"),
        ("title: *nowhere", "anchors and aliases"),
        ("title: !!python/object/apply:os.system ['true']", "the tag tag:yaml.org,2002:python/object"),
        ("title: !!python/name:os.system", "the tag"),
        ('title: !!timestamp "x"', "the tag"),
        ('title: !!int ""', "the tag"),
        ("title: !!binary 'x'", "the tag"),
        ("title: !x y", "the tag"),
        ("<<: {title: x}\ntitle: y", "the key << has no place here"),
        ("title: x\ntitle: y", "the key 'title' is given twice"),
        ("schedule: 2019-02-30", "day is out of range"),
        (f"title: {'9' * 5000}", "not a YAML file"),
        (f"title: 0x{'f' * 5000}", "missing keys"),
        ("title: " + "[" * 5000, "not a YAML file"),
        ("? [a]\n: b", "not a YAML file"),
        ("title: \x00", "not a YAML file"),
        ("- title", "expected keys and values, found list"),
        ("", "expected keys and values, found NoneType"),
        ("--- {}\n--- {}", "not a YAML file"),
        ("title: x\n" * MAX_BYTES, f"expected at most {MAX_BYTES}"),
    ],
    ids=range(21),
)
def test_yaml_that_is_more_than_keys_and_values_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "green.yaml"
    path.write_text(text, encoding="utf-8")

    assert said in refused(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "green.yaml"
    path.write_bytes("title: grün".encode("utf-16"))
    refused(path)


@pytest.mark.parametrize(
    "name", ["../green", "green/../green", "/etc/green", "green\x00", "green.yaml", "", "Green", None]
)
def test_a_source_is_found_by_its_plain_name_only(name: Any) -> None:
    with pytest.raises(SourceConfigError, match="is not a source's name"):
        find_source(SOURCES_FOLDER, name)


@pytest.mark.parametrize(
    "size", ["9" * 5000, "1." + "9" * 5000, "1e9", "-1", "1 GiB; DROP", "\uff11 GiB", "{{ 1 }} GiB"]
)
def test_a_hostile_size_is_refused(size: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_size(size, "taxiway_cache_limit")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_month_is_refused(kind: str) -> None:
    month: Any = HOSTILE[kind]
    with pytest.raises(InvalidMonthError) as caught:
        Month.parse(month)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", [kind for kind, value in HOSTILE.items() if isinstance(value, str)])
def test_the_pattern_of_the_month_refuses_by_itself(kind: str) -> None:
    """JSON Schema searches with it: in Airflow, and in the browser, where it must be a pattern as well."""
    value = HOSTILE[kind]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, {"type": "string", "pattern": MONTH_PATTERN})
    jsonschema.validate("2019-01", {"type": "string", "pattern": MONTH_PATTERN})
    assert not re.search(r"\\[AZz]|\(\?P", MONTH_PATTERN), "JavaScript has no such thing"


def test_a_number_of_too_many_digits_can_be_named(tmp_path: Path) -> None:
    text = yaml.safe_dump({**document(), "max_file_size": "HERE"}).replace("HERE", f"0x{'f' * 5000}")
    path = tmp_path / "green.yaml"
    path.write_text(text, encoding="utf-8")
    assert "max_file_size is a number of too many digits" in refused(path)
