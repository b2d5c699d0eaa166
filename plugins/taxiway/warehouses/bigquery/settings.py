"""What differs from place to place: project, location, bucket, dataset, and what a query may cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from taxiway.errors import SettingError
from taxiway.program import airflow_command
from taxiway.settings import parse_size

MAXIMUM_BYTES_BILLED = "20 GB"
"""What one query may bill, unless the Variable ``GCP_MAXIMUM_BYTES_BILLED`` says otherwise: some ten times what the
largest month of yellow taxis needs."""

LEAST_BYTES_BILLED = 10 * 1024 * 1024
"""BigQuery bills at least that much for every table that a query reads."""


@dataclass(frozen=True)
class _Variable:
    """An Airflow Variable, and what it must hold."""

    pattern: str
    expected: str
    example: str


VARIABLES = {
    "GCP_PROJECT_ID": _Variable(
        r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "a project's id: 6 to 30 lower-case letters, digits and hyphens, a letter first (not its name or number)",
        "my-taxi-project",
    ),
    "GCP_LOCATION": _Variable(
        r"[a-z]+-[a-z]+[0-9]{1,2}|US|EU",
        "a region such as europe-west1 or us-central1 (or the multi-regions EU and US), for bucket and dataset alike",
        "europe-west1",
    ),
    "GCP_BUCKET_NAME": _Variable(
        r"(?!goog)(?!.*google)[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]",
        "a bucket's name, without gs://: 3 to 63 lower-case letters, digits, hyphens and underscores; no two buckets "
        "of the world share one",
        "my-taxi-project-taxiway",
    ),
    "GCP_DATASET": _Variable(
        r"[A-Za-z_][A-Za-z0-9_]{0,127}",
        "a dataset's name, without its project: letters, digits and underscores, at most 128",
        "taxi",
    ),
}
"""The Variables that have no default."""


@dataclass(frozen=True)
class GcpSettings:
    """The settings in force, checked.

    :param project: id of the project that holds everything, and pays
    :param location: region of the bucket and of the dataset, and so of every job
    :param bucket: name of the bucket that keeps the downloaded files
    :param dataset: name of the dataset
    :param maximum_bytes_billed: most bytes that one query may bill; one that needs more fails and costs nothing
    """

    project: str
    location: str
    bucket: str
    dataset: str
    maximum_bytes_billed: int

    @property
    def dataset_name(self) -> str:
        """The dataset with its project."""
        return f"{self.project}.{self.dataset}"


def read_settings(get: Callable[[str], object]) -> GcpSettings:
    """Read and check the settings.

    :param get: gives a Variable's value by its name; None if there is none
    :raises SettingError: names every Variable that is missing or malformed, what it holds, what it should hold and how
        to set it
    """
    values = {name: get(name) for name in VARIABLES}
    wrong = [_complaint(name, values[name]) for name in VARIABLES if not _fits(name, values[name])]
    limit = 0
    try:
        limit = _limit(get("GCP_MAXIMUM_BYTES_BILLED") or MAXIMUM_BYTES_BILLED)
    except SettingError as error:
        wrong.append(str(error))
    if wrong:
        raise SettingError(f"{'; '.join(wrong)}. All of them at once: docs/bigquery.md")
    return GcpSettings(
        project=str(values["GCP_PROJECT_ID"]),
        location=str(values["GCP_LOCATION"]),
        bucket=str(values["GCP_BUCKET_NAME"]),
        dataset=str(values["GCP_DATASET"]),
        maximum_bytes_billed=limit,
    )


def _limit(value: object) -> int:
    limit = parse_size(str(value), "the Variable GCP_MAXIMUM_BYTES_BILLED")
    if limit < LEAST_BYTES_BILLED:
        raise SettingError(
            f"the Variable GCP_MAXIMUM_BYTES_BILLED is {value!r}: expected at least 10 MiB, which is what BigQuery "
            f"bills for the smallest query; without the Variable, it is {MAXIMUM_BYTES_BILLED}"
        )
    return limit


def _fits(name: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(VARIABLES[name].pattern, value) is not None


def _complaint(name: str, value: object) -> str:
    variable = VARIABLES[name]
    found = "is not set" if value is None else f"is {value!r}"
    return (
        f"the Variable {name} {found}: expected {variable.expected}; set it with "
        f"'{airflow_command('variables', 'set', name, variable.example)}' or as AIRFLOW_VAR_{name} in .env"
    )
