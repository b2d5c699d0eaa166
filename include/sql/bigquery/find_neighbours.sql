-- Finds how many rows the month before and the month after have, as far as they are published.
-- Grain: one row per published neighbour.
-- Parameters: dataset (with its project); bound: source, destination, before, after (first days of the two months).
-- Twice: safe, it only reads.
SELECT row_count
FROM `{{ dataset }}.months`
WHERE source = @source AND destination = @destination AND month IN (@before, @after) AND row_count IS NOT NULL
