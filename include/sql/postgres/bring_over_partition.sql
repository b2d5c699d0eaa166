-- Gives a partition of an earlier version the column source_month, and the unpacked file's name as its filename. No row
-- is written: both are constants, and known to the catalog alone. One scan shows that every row has them.
-- Grain: one partition, detached.
-- Parameters: partition (with its schema); bound: filename (of the unpacked file), month (its first day).
-- Twice: runs once, in the transaction that brings the main table over.
ALTER TABLE {{ partition }}
DROP COLUMN filename,
ADD COLUMN filename text NOT NULL DEFAULT %(filename)s,
ADD COLUMN source_month date NOT NULL DEFAULT %(month)s::date,
ADD CONSTRAINT of_one_file CHECK (filename = %(filename)s AND source_month = %(month)s::date);

ALTER TABLE {{ partition }}
ALTER COLUMN filename DROP DEFAULT,
ALTER COLUMN source_month DROP DEFAULT;
