-- Drops the tables of one run, and the function that gives its rows their ids.
-- Grain: the three tables of the run, and a function of the staging table's name.
-- Parameters: staging_table, rows_table, differences_table.
-- Twice: safe, what is absent stays absent.
DROP TABLE IF EXISTS {{ staging_table }}, {{ rows_table }}, {{ differences_table }};

DROP FUNCTION IF EXISTS {{ staging_table }}
