-- Changes nothing: a job that takes the number of a month's next publication, for a run that finds its file published.
-- Grain: one row.
-- Parameters: none.
-- Twice: safe, it reads nothing and writes nothing.
SELECT TRUE AS confirmed
