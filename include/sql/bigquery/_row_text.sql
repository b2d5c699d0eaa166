{#-
  Macros for reading staged fields and for row identity, the text of a row that unique_row_id is the MD5 of
  (docs/row-identity.md): every source column in its order, NULL as \N, joined with U+001F.

  field(column)          a staged text; an empty field is NULL, quoted or not
  whole_seconds(column)  a timestamp without its fraction of zeros; NULL if its length is another
  as_type(column)        a field in its own type; NULL if it can't be read
  is_readable(column)    whether a field that is not NULL fits its column; never NULL for such a one
  value_text(column)     a readable field as the row's text has it
  typed_text(column)     the same of a value in its own type; of a value that no load writes, a text that no field has
  row_text(columns)      the text of a row of readable fields; with typed, of a row of values in their own types
  row_id()               unique_row_id, of _row_text and _occurrence: how many rows of that text there are so far
-#}
{%- macro field(column) -%}
NULLIF(staged.`{{ column.name }}`, '')
{%- endmacro -%}

{%- macro whole_seconds(column) -%}
REGEXP_EXTRACT(`{{ column.name }}`, r'^(.{19})(?:[.]0{1,9})?$')
{%- endmacro -%}

{%- macro as_type(column) -%}
{%- if column.type == 'integer' -%}
SAFE_CAST(REGEXP_EXTRACT(`{{ column.name }}`, r'^ *([+-]?0*[0-9]{1,18})(?:[.]0*)? *$') AS INT64)
{%- elif column.type == 'numeric' -%}
SAFE_CAST(`{{ column.name }}` AS NUMERIC)
{%- elif column.type == 'timestamp' -%}
SAFE_CAST({{ whole_seconds(column) }} AS DATETIME)
{%- else -%}
`{{ column.name }}`
{%- endif -%}
{%- endmacro -%}

{%- macro is_readable(column) -%}
{%- if column.type == 'integer' -%}
COALESCE({{ as_type(column) }} BETWEEN -2147483648 AND 2147483647, FALSE)
{%- elif column.type == 'numeric' -%}
(
            SAFE_CAST(`{{ column.name }}` AS NUMERIC) IS NOT NULL
            AND (
                REGEXP_CONTAINS(`{{ column.name }}`, r'^ *[+-]?([0-9]+[.]?[0-9]{0,9}0*|[.][0-9]{1,9}0*) *$')
                OR (
                    REGEXP_CONTAINS(`{{ column.name }}`, r'^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)[eE][+-]?[0-9]{1,2} *$')
                    AND LENGTH(`{{ column.name }}`) - COALESCE(SAFE_CAST(REGEXP_EXTRACT(`{{ column.name }}`, r'[eE]([+-]?[0-9]{1,2}) *$') AS INT64), 0) <= 38
                    AND COALESCE(SAFE_CAST(`{{ column.name }}` AS BIGNUMERIC) = SAFE_CAST(`{{ column.name }}` AS NUMERIC), FALSE)
                )
            )
        )
{%- elif column.type == 'timestamp' -%}
COALESCE(FORMAT_DATETIME('%E4Y-%m-%d %H:%M:%S', {{ as_type(column) }}) = {{ whole_seconds(column) }}, FALSE)
{%- else -%}
(`{{ column.name }}` <> '\\N' AND STRPOS(`{{ column.name }}`, '\x1F') = 0)
{%- endif -%}
{%- endmacro -%}

{%- macro value_text(column) -%}
{%- if column.type in ('integer', 'numeric') -%}
CAST({{ as_type(column) }} AS STRING)
{%- elif column.type == 'timestamp' -%}
{{ whole_seconds(column) }}
{%- else -%}
`{{ column.name }}`
{%- endif -%}
{%- endmacro -%}

{%- macro typed_text(column) -%}
{%- if column.type == 'text' -%}
IF(NOT {{ is_readable(column) }}, '', `{{ column.name }}`)
{%- else -%}
CAST(`{{ column.name }}` AS STRING)
{%- endif -%}
{%- endmacro -%}

{%- macro row_text(columns, typed=false) -%}
CONCAT(
{%- for column in columns %}
            {{ "'\\x1F', " if not loop.first }}COALESCE({{ typed_text(column) if typed else value_text(column) }}, '\\N'){{ "," if not loop.last }}
{%- endfor %}
        )
{%- endmacro -%}

{%- macro row_id() -%}
TO_HEX(MD5(IF(_occurrence = 1, _row_text, CONCAT(_row_text, '\x1F', CAST(_occurrence AS STRING)))))
{%- endmacro -%}
