{#-
  Macros for fields that are staged as text.

  is_readable(column)   whether the field of a column can be read, as a condition that is never NULL
  unreadable(columns)   whether a field of the row can't, as a condition that is never NULL

  What nearly every field looks like is told by its characters, which is several times as quick as a regular expression.
  Integers may read 1.0; numbers are decimals, with or without an exponent, never NaN or Infinity; timestamps are
  YYYY-MM-DD HH:MM:SS, on days and at times that exist, with a fraction of up to nine zeros or none; a text is neither
  \N nor holds U+001F, for these mark NULL and the end of a field in the text that a row's id is made from.
-#}
{%- macro is_readable(column) -%}
{%- if column.type == 'integer' -%}
CASE
            WHEN {{ column.name | identifier }} IS NULL THEN TRUE
            WHEN
                LENGTH({{ column.name | identifier }}) BETWEEN 1 AND 9
                AND TRANSLATE({{ column.name | identifier }}, '0123456789', '') = ''
                THEN TRUE
            WHEN {{ column.name | identifier }} ~ '^ *[+-]?0*[0-9]{1,18}([.]0*)? *$'
                THEN TRUNC({{ column.name | identifier }}::numeric) BETWEEN -2147483648 AND 2147483647
            ELSE FALSE
        END
{%- elif column.type == 'numeric' -%}
CASE
            WHEN {{ column.name | identifier }} IS NULL THEN TRUE
            WHEN
                LENGTH({{ column.name | identifier }}) BETWEEN 2 AND 30
                AND TRANSLATE({{ column.name | identifier }}, '0123456789', '') IN ('', '.')
                THEN TRUE
            WHEN {{ column.name | identifier }} ~ '^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *$'
                THEN PG_INPUT_IS_VALID({{ column.name | identifier }}, 'numeric')
            ELSE FALSE
        END
{%- elif column.type == 'timestamp' -%}
CASE
            WHEN {{ column.name | identifier }} IS NULL THEN TRUE
            WHEN
                LENGTH({{ column.name | identifier }}) <> 19
                AND (
                    LENGTH({{ column.name | identifier }}) NOT BETWEEN 21 AND 29
                    OR RTRIM(SUBSTR({{ column.name | identifier }}, 20), '0') <> '.'
                )
                THEN FALSE
            WHEN PG_INPUT_IS_VALID(LEFT({{ column.name | identifier }}, 19), 'timestamp')
                THEN LEFT({{ column.name | identifier }}, 19)::timestamp::text = LEFT({{ column.name | identifier }}, 19)
            ELSE FALSE
        END
{%- else -%}
CASE
            WHEN {{ column.name | identifier }} IS NULL THEN TRUE
            ELSE {{ column.name | identifier }} <> '\N' AND POSITION(E'\x1F' IN {{ column.name | identifier }}) = 0
        END
{%- endif -%}
{%- endmacro -%}

{%- macro unreadable(columns) -%}
FALSE
{%- for column in columns %}
        OR NOT {{ is_readable(column) }}
{%- endfor %}
{%- endmacro -%}
