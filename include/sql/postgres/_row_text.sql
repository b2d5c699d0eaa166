{#-
  Macros for row identity, the text of a row that unique_row_id is the MD5 of
  (docs/row-identity.md): every source column in its order, NULL as \N, joined with U+001F.

  as_type(column, lenient)     a staged text column, cast to its own type; lenient reads 1.0 as the integer 1
  row_text(columns, staged, lenient)
                               the text of a row, of staged text columns or of typed ones
-#}
{%- macro as_type(column, lenient) -%}
{%- if column.type == 'text' -%}
{{ column.name | identifier }}
{%- elif column.type == 'integer' and lenient -%}
{{ column.name | identifier }}::numeric::integer
{%- else -%}
{{ column.name | identifier }}::{{ column.type }}
{%- endif -%}
{%- endmacro -%}

{%- macro row_text(columns, staged, lenient=false) -%}
{%- for column in columns %}
        {{ "|| E'\\x1F' || " if not loop.first }}COALESCE(
{%- if column.type == 'text' or (column.type == 'timestamp' and staged) -%}
{{ column.name | identifier }}
{%- elif column.type == 'numeric' -%}
TRIM_SCALE({{ as_type(column, lenient) if staged else column.name | identifier }})::text
{%- else -%}
{{ '(' ~ as_type(column, lenient) ~ ')' if staged else column.name | identifier }}::text
{%- endif -%}
, '\N')
{%- endfor %}
{%- endmacro -%}
