-- Publishes a month that the main table does not hold yet: the typed rows become its partition.
-- Grain: one partition of the main table.
-- Parameters: rows_table, rows_name, main_table, partition_name, index_name, partition_index; bound: filename.
-- Twice: runs once, under the month's lock, and only where the partition is absent.
ALTER TABLE {{ rows_table }} SET SCHEMA public;

ALTER TABLE public.{{ rows_name }} RENAME TO {{ partition_name }};

ALTER INDEX public.{{ index_name }} RENAME TO {{ partition_index }};

-- (The linter's grammar knows no schema in front of a partition.)
ALTER TABLE public.{{ main_table }} -- noqa: PRS
ATTACH PARTITION public.{{ partition_name }} FOR VALUES IN (%(filename)s);

ALTER TABLE public.{{ partition_name }} DROP CONSTRAINT of_one_file;
