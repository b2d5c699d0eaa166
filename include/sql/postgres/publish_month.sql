-- Publishes a month that the main table does not hold yet: the table of its name becomes its partition.
-- Grain: one partition of the main table.
-- Parameters: main_table, partition_name; bound: month (its first day).
-- Twice: runs once, under the month's lock, and only if the partition is absent.
-- The constraint of_one_file stays: a query for a filename reads the partition of that file alone.
-- (The linter's grammar knows no schema in front of a partition.)
ALTER TABLE public.{{ main_table }} -- noqa: PRS
ATTACH PARTITION public.{{ partition_name }} FOR VALUES IN (%(month)s::date);
