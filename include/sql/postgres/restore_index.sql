-- Gives a partition back the unique index on its ids, which somebody has dropped.
-- Grain: the rows of one partition.
-- Parameters: partition (with its schema).
-- Twice: runs where it is absent only; its name is one that Postgres finds free.
CREATE UNIQUE INDEX ON {{ partition }} (unique_row_id)
