-- Creates the partition of a month without its rows, if a trigger or a publication of the main table needs inserts.
-- Grain: one table.
-- Parameters: rows_table, partition_name, partition_index.
-- Twice: runs once, under the month's lock, and only if the partition is absent.
CREATE TABLE public.{{ partition_name }} (LIKE {{ rows_table }} INCLUDING CONSTRAINTS);

CREATE UNIQUE INDEX {{ partition_index }} ON public.{{ partition_name }} (unique_row_id);
