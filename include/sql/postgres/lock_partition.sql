-- Keeps others from writing to a partition, indexing or detaching it until the transaction ends; readers go on.
-- Grain: one table.
-- Parameters: partition (with its schema).
-- Twice: safe, who has the lock has it.
LOCK TABLE {{ partition }} IN SHARE ROW EXCLUSIVE MODE
