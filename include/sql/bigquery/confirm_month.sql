-- Changes nothing. Its job takes the number of a month's next publication, because the run has found its file
-- published.
-- Grain: one row.
-- Parameters: none.
-- Twice: safe, it reads nothing and writes nothing.
SELECT TRUE AS confirmed
