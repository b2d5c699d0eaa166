{#-
  Measures of a column that a source's checks can name: each macro has the name of its measure in sources/checks.py.

  A macro is a condition on one row; the measure is the share of the rows for which it holds. It is given the check,
  and may use first_day and next_first_day of the month, which are bound. A row whose field is empty counts as one
  that is neither negative nor outside the month.
-#}
{%- macro share_null(check) -%}
{{ check.column | identifier }} IS NULL
{%- endmacro -%}
{%- macro share_negative(check) -%}
{{ check.column | identifier }} < 0
{%- endmacro -%}
{%- macro share_outside_month(check) -%}
{{ check.column | identifier }} < %(first_day)s::date OR {{ check.column | identifier }} >= %(next_first_day)s::date
{%- endmacro -%}
