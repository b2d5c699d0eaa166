{#-
  Macros for row identity, the text of a row that unique_row_id is the MD5 of
  (docs/row-identity.md): every source column in its order, NULL as \N, joined with U+001F.

  as_type(column)     a staged text column, cast to its own type; 1.0 is read as the integer 1, and a timestamp without
                      its fraction of zeros
  row_text(columns)   the text of a row of typed columns

  CONCAT_WS writes every value as its type does, and leaves NULL out: the mark that follows each value takes
  its place. (A COALESCE of the value's text would be shorter, and copies every value once more.) It takes 100 arguments at
  the most, so more than 45 columns are joined by groups.
-#}
{%- macro as_type(column) -%}
{%- if column.type == 'integer' -%}
{{ column.name | identifier }}::numeric::integer
{%- elif column.type == 'timestamp' -%}
LEFT({{ column.name | identifier }}, 19)::timestamp
{%- else -%}
{{ column.name | identifier }}::{{ column.type }}
{%- endif -%}
{%- endmacro -%}

{%- macro row_text(columns) -%}
CONCAT_WS(
        E'\x1F'
{%- for some in columns | batch(45) %}
{%- if columns | length > 45 %},
        CONCAT_WS(
            E'\x1F'
{%- endif %}
{%- for column in some %},
        {% if column.type == 'numeric' %}TRIM_SCALE({{ column.name | identifier }}){% else %}{{ column.name | identifier }}{% endif -%}
        , CASE WHEN {{ column.name | identifier }} IS NULL THEN '\N' END
{%- endfor %}
{%- if columns | length > 45 %}
        )
{%- endif %}
{%- endfor %}
    )
{%- endmacro -%}
