-- Keeps other sessions from writing to a partition, indexing or detaching it until the transaction ends. Readers aren't
-- blocked.
-- Grain: the main table, whose definition is locked, and one partition. The order is the same as in DETACH PARTITION.
-- Parameters: main_table, partition (with its schema).
-- Twice: safe, the session holds the locks already.
LOCK TABLE ONLY public.{{ main_table }} IN ACCESS SHARE MODE;

LOCK TABLE {{ partition }} IN SHARE ROW EXCLUSIVE MODE
