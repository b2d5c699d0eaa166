-- Gives the typed rows of a month the name of its partition.
-- Grain: one table, with its index; no row is touched.
-- Parameters: rows_table, rows_name, partition_name, index_name, partition_index.
-- Twice: runs once, under the month's lock, and only if the partition is absent.
ALTER TABLE {{ rows_table }} SET SCHEMA public;

ALTER TABLE public.{{ rows_name }} RENAME TO {{ partition_name }};

ALTER INDEX public.{{ index_name }} RENAME TO {{ partition_index }};
