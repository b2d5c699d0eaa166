"""How each warehouse loads a month.

- postgres, bigquery: a package each; they never import each other
- sql: renders the SQL files of ``include/sql`` for both
"""
