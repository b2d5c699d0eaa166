-- Finds the months of a source that are published, and from which file.
-- Grain: one row per month.
-- Parameters: dataset (with its project); bound: source, destination.
-- Twice: safe, it only reads.
SELECT
    month,
    sha256
FROM `{{ dataset }}.months`
WHERE source = @source AND destination = @destination AND published_at IS NOT NULL
ORDER BY month
