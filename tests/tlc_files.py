"""Files like the TLC's own, with the schemas that these had: what each has changed, from which month on.

Nothing here is read from the sources' YAML files. Row groups are small, so that a file has several.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxiway.sources.months import Month

NEW_TYPES = Month(2023, 2)
"""Since then, files are compressed with ZSTD, ids are of 32 bits, and texts large."""

CBD_FEE, REQUEST_SOURCE = Month(2025, 1), Month(2026, 6)
"""The first months of the columns that came last."""

ID, COUNT, AMOUNT, TIME, TEXT = "id", "count", "amount", "time", "text"

_TAXI_AMOUNTS = ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount")
_COLUMNS: dict[str, dict[str, str]] = {
    "yellow": {
        "VendorID": ID,
        "tpep_pickup_datetime": TIME,
        "tpep_dropoff_datetime": TIME,
        "passenger_count": COUNT,
        "trip_distance": AMOUNT,
        "RatecodeID": COUNT,
        "store_and_fwd_flag": TEXT,
        "PULocationID": ID,
        "DOLocationID": ID,
        "payment_type": COUNT,
        **dict.fromkeys(_TAXI_AMOUNTS, AMOUNT),
        "improvement_surcharge": AMOUNT,
        "total_amount": AMOUNT,
        "congestion_surcharge": AMOUNT,
        "airport_fee": AMOUNT,
    },
    "green": {
        "VendorID": ID,
        "lpep_pickup_datetime": TIME,
        "lpep_dropoff_datetime": TIME,
        "store_and_fwd_flag": TEXT,
        "RatecodeID": COUNT,
        "PULocationID": ID,
        "DOLocationID": ID,
        "passenger_count": COUNT,
        "trip_distance": AMOUNT,
        **dict.fromkeys(_TAXI_AMOUNTS, AMOUNT),
        "ehail_fee": AMOUNT,
        "improvement_surcharge": AMOUNT,
        "total_amount": AMOUNT,
        "payment_type": COUNT,
        "trip_type": COUNT,
        "congestion_surcharge": AMOUNT,
    },
    "fhv": {
        "dispatching_base_num": TEXT,
        "pickup_datetime": TIME,
        "dropOff_datetime": TIME,
        "PUlocationID": COUNT,
        "DOlocationID": COUNT,
        "SR_Flag": COUNT,
        "Affiliated_base_number": TEXT,
    },
    "fhvhv": {
        **dict.fromkeys(("hvfhs_license_num", "dispatching_base_num", "originating_base_num"), TEXT),
        **dict.fromkeys(("request_datetime", "on_scene_datetime", "pickup_datetime", "dropoff_datetime"), TIME),
        "PULocationID": ID,
        "DOLocationID": ID,
        "trip_miles": AMOUNT,
        "trip_time": ID,
        **dict.fromkeys(("base_passenger_fare", "tolls", "bcf", "sales_tax", "congestion_surcharge"), AMOUNT),
        **dict.fromkeys(("airport_fee", "tips", "driver_pay"), AMOUNT),
        **dict.fromkeys(("shared_request_flag", "shared_match_flag", "access_a_ride_flag"), TEXT),
        **dict.fromkeys(("wav_request_flag", "wav_match_flag"), TEXT),
    },
}

_OF_NULLS = {
    "yellow": {"improvement_surcharge", "congestion_surcharge", "airport_fee"},
    "green": {"ehail_fee", "improvement_surcharge", "congestion_surcharge"},
    "fhv": {"SR_Flag"},
    "fhvhv": {"airport_fee", "wav_match_flag"},
}
"""Columns without a value in some files of before, which have the type null there."""


@dataclass(frozen=True)
class TlcFile:
    """A file.

    :param path: where it is
    :param rows: its rows as texts, by the names of their columns in lower case
    :param schema: its names and types
    """

    path: Path
    rows: list[dict[str, str]]
    schema: pa.Schema


def write_tlc_file(kind: str, month: Month, folder: Path, *, row_group: int | None = None) -> TlcFile:
    """Write a month as the TLC has it.

    :param kind: green, yellow, fhv or fhvhv
    :param month: decides the columns, their spelling, their types and the compression
    :param row_group: rows of a row group; all of them unless given
    """
    columns = dict(_COLUMNS[kind])
    is_new = month >= NEW_TYPES
    if kind == "yellow" and is_new:
        columns = {"Airport_fee" if name == "airport_fee" else name: kept for name, kept in columns.items()}
    if kind != "fhv" and month >= CBD_FEE:
        columns["cbd_congestion_fee"] = AMOUNT
    if kind in ("green", "yellow") and month >= REQUEST_SOURCE:
        columns["request_source"] = TEXT
    empty = set() if is_new else _OF_NULLS[kind]
    texts = [
        {
            name: "" if name in empty else _text(of, month, row, place)
            for place, (name, of) in enumerate(columns.items())
        }
        for row in range(40)
    ]
    schema = pa.schema([(name, pa.null() if name in empty else _type(of, new=is_new)) for name, of in columns.items()])
    table = pa.table(
        [pa.array([_value(text[field.name], field.type) for text in texts], field.type) for field in schema], schema
    )
    path = folder / f"{kind}_tripdata_{month}.parquet"
    pq.write_table(table, path, compression="zstd" if is_new else "gzip", row_group_size=row_group)
    return TlcFile(path, [{name.lower(): value for name, value in text.items()} for text in texts], schema)


def _type(of: str, *, new: bool) -> pa.DataType:
    """Return the type of a column: a count was a double, because some rows have none."""
    return {
        ID: pa.int32() if new else pa.int64(),
        COUNT: pa.int64() if new else pa.float64(),
        AMOUNT: pa.float64(),
        TIME: pa.timestamp("us"),
        TEXT: pa.large_string() if new else pa.string(),
    }[of]


def _text(of: str, month: Month, row: int, place: int) -> str:
    """Make a value, the same for everyone; a third of the rows have no counts and no texts."""
    if of == TIME:
        begin = datetime(month.year, month.number, 1 + row % 28, row % 24)
        return str(begin + timedelta(minutes=place, seconds=row))
    if of in (COUNT, TEXT) and row % 3 == 2:
        return ""
    if of == TEXT:
        return ("N", "Y", "B00254")[(row + place) % 3]
    if of == AMOUNT:
        return str((Decimal(row * 25 + place) / 100).normalize() * (-1 if row % 11 == 10 else 1) + 0)
    return str(1 + (row + place) % 265)


def _value(text: str, kind: pa.DataType) -> Any:
    if not text:
        return None
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_floating(kind):
        return float(text)
    return datetime.fromisoformat(text) if pa.types.is_timestamp(kind) else text
