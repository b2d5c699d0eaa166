{#-
  Measures of a column that a source's checks can name: each macro has the name of its measure in sources/checks.py.

  A macro is a condition on one row; the measure is the share of the rows for which it holds. It is given the check,
  and may use first_moment and next_first_moment of the month, which are bound. A row whose field is empty counts as
  one that is neither negative nor outside the month.
-#}
{%- macro share_null(check) -%}
`{{ check.column }}` IS NULL
{%- endmacro -%}
{%- macro share_negative(check) -%}
`{{ check.column }}` < 0
{%- endmacro -%}
{%- macro share_outside_month(check) -%}
`{{ check.column }}` < @first_moment OR `{{ check.column }}` >= @next_first_moment
{%- endmacro -%}
