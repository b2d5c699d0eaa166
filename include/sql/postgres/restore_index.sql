-- Gives a partition back the unique index on its ids, which somebody has dropped.
-- Grain: the rows of one partition.
-- Parameters: partition (with its schema).
-- Twice: runs only if the index is absent; Postgres chooses a free name.
CREATE UNIQUE INDEX ON {{ partition }} (unique_row_id)
