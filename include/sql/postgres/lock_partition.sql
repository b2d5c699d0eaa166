-- Keeps others from writing to a partition, indexing or detaching it until the transaction ends; readers go on.
-- Grain: the main table, which is only kept as it is, and one partition; in the order in which whoever detaches it locks.
-- Parameters: main_table, partition (with its schema).
-- Twice: safe, who has the lock has it.
LOCK TABLE ONLY public.{{ main_table }} IN ACCESS SHARE MODE;

LOCK TABLE {{ partition }} IN SHARE ROW EXCLUSIVE MODE
