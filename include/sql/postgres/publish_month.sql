-- Publishes a month that the main table does not hold yet: the table of its name becomes its partition.
-- Grain: one partition of the main table.
-- Parameters: main_table, partition_name; bound: filename.
-- Twice: runs once, under the month's lock, and only if the partition is absent.
-- (The linter's grammar knows no schema in front of a partition.)
ALTER TABLE public.{{ main_table }} -- noqa: PRS
ATTACH PARTITION public.{{ partition_name }} FOR VALUES IN (%(filename)s);

ALTER TABLE public.{{ partition_name }} DROP CONSTRAINT of_one_file;
