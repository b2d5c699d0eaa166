"""What BigQuery computes and DuckDB doesn't, or not alike, as macros of DuckDB.

A macro takes any type: where types differ it asks ``typeof``, and compares texts only, so that every branch compiles.
DuckDB plans an argument as often as a macro names it, so the types that come most have a definition of their own. It
can't choose by the type of an aggregate: that needs the macro ``…_of_any``.
"""

from __future__ import annotations

import decimal
import re

from stand_ins.bigquery.values import numeric_text

_DATE = r"(?:[1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])-\d{1,2}-\d{1,2}"
_CLOCK = rf"{_DATE}(?:[ Tt](?:[01]?\d|2[0-3]):[0-5]?\d:[0-5]?\d(?:\.\d{{1,6}})?)?"
# Google reads more digits, and a sixtieth second: nothing here does.
_ODD_CLOCK = rf"{_DATE}[ Tt]\d{{1,2}}:\d{{1,2}}:(?:60.*|\d{{1,2}}\.\d{{7,}}.*)"
_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"

# DuckDB reads and writes these forty times as fast, as a narrower type.
_SHORT_NUMBER = r"[+-]?(?:\d{1,8}(?:\.\d{1,9})?|\.\d{1,9})"

MACROS = rf"""
CREATE OR REPLACE TEMP MACRO bq_or_bad(given, made, kind) AS CASE
    WHEN given IS NOT NULL AND made IS NULL THEN error('Bad ' || kind || ' value: ' || CAST(given AS VARCHAR))
    ELSE made END;

CREATE OR REPLACE TEMP MACRO bq_text_of_numeric(x) AS rtrim(rtrim(
    coalesce(CAST(TRY_CAST(x AS DECIMAL(18,9)) AS VARCHAR), CAST(x AS VARCHAR)), '0'), '.');

CREATE OR REPLACE TEMP MACRO bq_text_of_any(x) AS CASE
    WHEN typeof(x) LIKE 'DECIMAL(%,9)' THEN bq_text_of_numeric(x)
    WHEN typeof(x) LIKE 'DECIMAL%' THEN error('The stand-in refuses the text of ' || typeof(x))
    WHEN typeof(x) = 'TIMESTAMP WITH TIME ZONE' AND NOT contains(CAST(x AS VARCHAR), '.') THEN CAST(x AS VARCHAR)
    WHEN typeof(x) = 'TIMESTAMP' THEN regexp_replace(CAST(x AS VARCHAR), '\.(\d+)$',
        '.' || rpad(regexp_extract(CAST(x AS VARCHAR), '\.(\d+)$', 1),
            CASE WHEN length(regexp_extract(CAST(x AS VARCHAR), '\.(\d+)$', 1)) <= 3 THEN 3 ELSE 6 END, '0'))
    WHEN typeof(x) IN ('VARCHAR', 'BIGINT', 'INTEGER', 'BOOLEAN', 'DATE', '"NULL"') THEN CAST(x AS VARCHAR)
    WHEN typeof(x) = 'HUGEINT' THEN CAST(CAST(CAST(x AS VARCHAR) AS BIGINT) AS VARCHAR)
    ELSE error('The stand-in refuses the text of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_text
    (x VARCHAR) AS x, (x BIGINT) AS CAST(x AS VARCHAR), (x HUGEINT) AS bq_text_of_any(x), (x) AS bq_text_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_int_of_text(x) AS CASE
    WHEN regexp_full_match(x, '\s*[+-]?\d+\s*') THEN TRY_CAST(trim(x) AS BIGINT)
    WHEN regexp_full_match(x, '\s*[+-]?0[xX].*') THEN error('The stand-in refuses hexadecimal') END;
CREATE OR REPLACE TEMP MACRO bq_int_of_any(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN bq_int_of_text(CAST(x AS VARCHAR))
    WHEN typeof(x) = 'DOUBLE' THEN TRY_CAST(round(TRY_CAST(CAST(x AS VARCHAR) AS DOUBLE)) AS BIGINT)
    WHEN typeof(x) LIKE 'DECIMAL%' OR typeof(x) IN ('BIGINT', 'INTEGER', 'HUGEINT', 'BOOLEAN', '"NULL"')
        THEN TRY_CAST(x AS BIGINT)
    ELSE error('The stand-in refuses to make INT64 of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_int (x VARCHAR) AS bq_int_of_text(x), (x) AS bq_int_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_numeric_of_text(x) AS CASE
    WHEN regexp_full_match(x, '{_SHORT_NUMBER}') THEN CAST(TRY_CAST(x AS DECIMAL(18,9)) AS DECIMAL(38,9))
    WHEN regexp_full_match(x, '{_NUMBER}') THEN TRY_CAST(trim(x) AS DECIMAL(38,9)) END;
CREATE OR REPLACE TEMP MACRO bq_numeric_of_any(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN bq_numeric_of_text(CAST(x AS VARCHAR))
    WHEN typeof(x) LIKE 'DECIMAL%' OR typeof(x) IN ('BIGINT', 'INTEGER', 'HUGEINT', 'DOUBLE', '"NULL"')
        THEN TRY_CAST(x AS DECIMAL(38,9))
    ELSE error('The stand-in refuses to make NUMERIC of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_numeric (x VARCHAR) AS bq_numeric_of_text(x), (x) AS bq_numeric_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_float_of_text(x) AS CASE
    WHEN regexp_full_match(x, '{_NUMBER}|\s*[+-]?(?i:inf|infinity|nan)\s*') THEN TRY_CAST(trim(x) AS DOUBLE) END;
CREATE OR REPLACE TEMP MACRO bq_float_of_any(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN bq_float_of_text(CAST(x AS VARCHAR))
    WHEN typeof(x) LIKE 'DECIMAL%' OR typeof(x) IN ('BIGINT', 'INTEGER', 'HUGEINT', 'DOUBLE', '"NULL"')
        THEN TRY_CAST(x AS DOUBLE)
    ELSE error('The stand-in refuses to make FLOAT64 of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_float (x VARCHAR) AS bq_float_of_text(x), (x) AS bq_float_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_bool_of_text(x) AS CASE lower(x) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END;
CREATE OR REPLACE TEMP MACRO bq_bool_of_any(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN bq_bool_of_text(CAST(x AS VARCHAR))
    WHEN typeof(x) IN ('BIGINT', 'INTEGER', 'BOOLEAN', '"NULL"') THEN TRY_CAST(x AS BOOLEAN)
    ELSE error('The stand-in refuses to make BOOL of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_bool (x VARCHAR) AS bq_bool_of_text(x), (x) AS bq_bool_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_date_of_text(x) AS CASE
    WHEN regexp_full_match(x, '{_DATE}') THEN TRY_CAST(x AS DATE) END;
CREATE OR REPLACE TEMP MACRO bq_date_of_any(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN bq_date_of_text(CAST(x AS VARCHAR))
    WHEN typeof(x) IN ('DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE', '"NULL"') THEN TRY_CAST(x AS DATE)
    ELSE error('The stand-in refuses to make DATE of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_date (x VARCHAR) AS bq_date_of_text(x), (x) AS bq_date_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_datetime_of_text(x) AS CASE
    WHEN regexp_full_match(x, '{_CLOCK}') THEN TRY_CAST(x AS TIMESTAMP)
    WHEN regexp_full_match(x, '{_ODD_CLOCK}') THEN error('The stand-in refuses the DATETIME ' || x) END;
CREATE OR REPLACE TEMP MACRO bq_datetime_of_any(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN bq_datetime_of_text(CAST(x AS VARCHAR))
    WHEN typeof(x) IN ('DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE', '"NULL"') THEN TRY_CAST(x AS TIMESTAMP)
    ELSE error('The stand-in refuses to make DATETIME of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_datetime (x VARCHAR) AS bq_datetime_of_text(x), (x) AS bq_datetime_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_timestamp_of_text(x) AS CASE
    WHEN regexp_full_match(x, '{_CLOCK}(?:Z| UTC|\+00|\+00:00)?')
    THEN TRY_CAST(regexp_replace(x, '(Z| UTC|\+00|\+00:00)$', '') || '+00' AS TIMESTAMPTZ)
    ELSE error('The stand-in refuses the TIMESTAMP ' || x) END;
CREATE OR REPLACE TEMP MACRO bq_timestamp_of_any(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN bq_timestamp_of_text(CAST(x AS VARCHAR))
    WHEN typeof(x) IN ('DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE', '"NULL"') THEN TRY_CAST(x AS TIMESTAMPTZ)
    ELSE error('The stand-in refuses to make TIMESTAMP of ' || typeof(x)) END;
CREATE OR REPLACE TEMP MACRO bq_timestamp (x VARCHAR) AS bq_timestamp_of_text(x), (x) AS bq_timestamp_of_any(x);

CREATE OR REPLACE TEMP MACRO bq_parse_datetime_or_null(x) AS CASE
    WHEN regexp_full_match(x, '\d{{4}}-\d\d-\d\d \d\d:\d\d:[0-5]\d') THEN bq_datetime_of_text(x)
    WHEN x ~ '\d+\s*-\s*\d+\s*-\s*\d+\s*\d+\s*:\s*\d+\s*:\s*\d+'
        THEN error('The stand-in refuses to parse the DATETIME ' || x) END;

CREATE OR REPLACE TEMP MACRO bq_parse_datetime(x) AS
    bq_or_bad(x, bq_parse_datetime_or_null(x), 'DATETIME');

CREATE OR REPLACE TEMP MACRO bq_year(x) AS lpad(CAST(year(x) AS VARCHAR), 4, '0');

CREATE OR REPLACE TEMP MACRO bq_at(given, place) AS CASE
    WHEN place < 0 OR place >= len(given) THEN error('Array index ' || place || ' is out of bounds')
    ELSE given[place + 1] END;

CREATE OR REPLACE TEMP MACRO bq_length(x) AS CASE
    WHEN typeof(x) = 'BLOB' THEN CAST(octet_length(TRY_CAST(x AS BLOB)) AS BIGINT)
    WHEN typeof(x) IN ('VARCHAR', '"NULL"') THEN length(CAST(x AS VARCHAR))
    ELSE error('The stand-in refuses the length of ' || typeof(x)) END;

CREATE OR REPLACE TEMP MACRO bq_trim(x) AS
    regexp_replace(x, '^[\pZ\s\x0B\x85]+|[\pZ\s\x0B\x85]+$', '', 'g');

CREATE OR REPLACE TEMP MACRO bq_code_points_to_string(x) AS
    array_to_string(list_transform(x, lambda c: chr(CAST(c AS INTEGER))), '');

CREATE OR REPLACE TEMP MACRO bq_to_code_points(x) AS
    list_transform(string_split(x, ''), lambda c: CAST(unicode(c) AS BIGINT));
"""

_BIGNUMERIC_LIMIT = decimal.Decimal(2) ** 255
_PLACES = decimal.Decimal("1e-38")


def bignumeric_text(text: str | None) -> str | None:
    """A text as BIGNUMERIC and as text again, for which DuckDB has no type; None if it is none."""
    if text is None or re.fullmatch(_NUMBER, text) is None:
        return None
    exact = decimal.Context(prec=600, rounding=decimal.ROUND_HALF_UP)
    number = exact.create_decimal(text.strip())
    if number.adjusted() > 40:
        return None
    rounded = number.quantize(_PLACES, context=exact)
    if not -_BIGNUMERIC_LIMIT <= rounded.scaleb(38, exact) < _BIGNUMERIC_LIMIT:
        return None
    return numeric_text(rounded)
