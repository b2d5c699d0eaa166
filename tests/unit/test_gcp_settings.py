"""The Variables of Google Cloud: what is missing or malformed is told by name, with what to do."""

from __future__ import annotations

import json
import re

import pytest

from taxiway.errors import SettingError
from taxiway.paths import ROOT
from taxiway.warehouses.bigquery.settings import VARIABLES, GcpSettings, read_settings

GOOD = {
    "GCP_PROJECT_ID": "my-taxi-project",
    "GCP_LOCATION": "europe-west1",
    "GCP_BUCKET_NAME": "my-taxi-project-bucket",
    "GCP_DATASET": "taxi",
}


def test_settings_are_read() -> None:
    assert read_settings(GOOD.get) == GcpSettings(
        "my-taxi-project", "europe-west1", "my-taxi-project-bucket", "taxi", 20_000_000_000
    )
    assert read_settings({**GOOD, "GCP_MAXIMUM_BYTES_BILLED": "1 GiB"}.get).maximum_bytes_billed == 2**30
    assert read_settings(GOOD.get).dataset_name == "my-taxi-project.taxi"


@pytest.mark.parametrize("name", GOOD)
def test_each_one_that_is_missing_is_named_with_how_to_set_it(name: str) -> None:
    with pytest.raises(SettingError) as error:
        read_settings({key: value for key, value in GOOD.items() if key != name}.get)

    said = str(error.value)
    assert f"the Variable {name} is not set" in said
    assert VARIABLES[name].expected in said
    assert f"airflow variables set {name}" in said
    assert all(other not in said for other in GOOD if other != name)


def test_all_that_are_missing_are_told_at_once() -> None:
    with pytest.raises(SettingError) as error:
        read_settings(lambda name: None)

    assert all(f"the Variable {name} is not set" in str(error.value) for name in GOOD)


@pytest.mark.parametrize("limit", ["a lot", "1 MB"])
def test_all_that_are_malformed_are_told_at_once_and_once_each(limit: str) -> None:
    bad = {"GCP_PROJECT_ID": "My Project", "GCP_BUCKET_NAME": "gs://lake", "GCP_MAXIMUM_BYTES_BILLED": limit}

    with pytest.raises(SettingError) as error:
        read_settings({**GOOD, **bad}.get)

    said = str(error.value)
    assert [said.count(f"the Variable {name} is {value!r}: expected") for name, value in bad.items()] == [1, 1, 1]
    assert all(name not in said for name in GOOD if name not in bad)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GCP_PROJECT_ID", "My Project"),
        ("GCP_PROJECT_ID", "123456789012"),
        ("GCP_PROJECT_ID", "short"),
        ("GCP_PROJECT_ID", "a" * 31),
        ("GCP_PROJECT_ID", "ends-with-"),
        ("GCP_PROJECT_ID", "x`; DROP TABLE y"),
        ("GCP_PROJECT_ID", "my-taxi-project\n"),
        ("GCP_LOCATION", "Belgium"),
        ("GCP_LOCATION", "eu"),
        ("GCP_LOCATION", "europe-west1-b"),
        ("GCP_LOCATION", ""),
        ("GCP_BUCKET_NAME", "gs://lake"),
        ("GCP_BUCKET_NAME", "Lake"),
        ("GCP_BUCKET_NAME", "ab"),
        ("GCP_BUCKET_NAME", "a" * 64),
        ("GCP_BUCKET_NAME", "goog-lake"),
        ("GCP_BUCKET_NAME", "my-google-lake"),
        ("GCP_BUCKET_NAME", "lake/folder"),
        ("GCP_DATASET", "my-project.taxi"),
        ("GCP_DATASET", "taxi-months"),
        ("GCP_DATASET", "taxi`"),
        ("GCP_DATASET", 7),
    ],
)
def test_what_is_malformed_is_told_with_what_it_holds(name: str, value: object) -> None:
    with pytest.raises(SettingError) as error:
        read_settings({**GOOD, name: value}.get)

    assert f"the Variable {name} is {value!r}: expected {VARIABLES[name].expected}" in str(error.value)


@pytest.mark.parametrize("name", ["europe-west1", "us-central1", "northamerica-northeast2", "me-central2", "EU", "US"])
def test_locations_that_there_are(name: str) -> None:
    assert read_settings({**GOOD, "GCP_LOCATION": name}.get).location == name


@pytest.mark.parametrize("value", ["a lot", "-1", "1", "9 MB"])
def test_a_limit_that_no_query_keeps_is_refused(value: str) -> None:
    with pytest.raises(SettingError, match="GCP_MAXIMUM_BYTES_BILLED"):
        read_settings({**GOOD, "GCP_MAXIMUM_BYTES_BILLED": value}.get)


@pytest.mark.parametrize("name", VARIABLES)
def test_examples_fit(name: str) -> None:
    assert re.fullmatch(VARIABLES[name].pattern, VARIABLES[name].example)


def test_the_file_to_import_has_every_variable_and_fits() -> None:
    document = json.loads((ROOT / "include" / "gcp_variables.example.json").read_text())

    assert set(document) == {*VARIABLES, "GCP_MAXIMUM_BYTES_BILLED"}
    assert read_settings(document.get)
