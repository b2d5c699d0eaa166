-- Makes the typed rows fit to become a partition: the unique index on the id, NOT NULL,
-- and the proof that every row is of this file, so that attaching needs no scan.
-- Grain: the rows of one file.
-- Parameters: rows_table, index_name; bound: filename.
-- Twice: runs once, in the transaction that made the rows.
CREATE UNIQUE INDEX {{ index_name }} ON {{ rows_table }} (unique_row_id);

ALTER TABLE {{ rows_table }}
ALTER COLUMN unique_row_id SET NOT NULL,
ALTER COLUMN filename SET NOT NULL,
ADD CONSTRAINT of_one_file CHECK (filename = %(filename)s);
