-- Drops the tables of one run.
-- Grain: the two tables of the run.
-- Parameters: staging_table, rows_table (with their project and dataset).
-- Twice: safe, what is absent stays absent.
DROP TABLE IF EXISTS `{{ staging_table }}`;

DROP TABLE IF EXISTS `{{ rows_table }}`;
