{#-
  The type of a source's column in BigQuery.
-#}
{%- macro type_of(column) -%}
{{ {'integer': 'INT64', 'numeric': 'NUMERIC', 'timestamp': 'DATETIME', 'text': 'STRING'}[column.type] }}
{%- endmacro -%}
