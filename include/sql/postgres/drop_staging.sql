-- Drops the tables of one run.
-- Grain: the two tables of the run.
-- Parameters: staging_table, rows_table.
-- Twice: safe, what is absent stays absent.
DROP TABLE IF EXISTS {{ staging_table }}, {{ rows_table }}
