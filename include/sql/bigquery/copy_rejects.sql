-- Copies the rejected lines of the attempt before to the attempt that goes on with its rows.
-- Grain: one row per line of the file.
-- Parameters: dataset (with its project); bound: load_id, earlier_load_id (the attempt before).
-- Twice: safe, a line that the attempt has already is not copied again.
-- The earlier attempt keeps its own: rows are only added here, and it may be what is published.
INSERT INTO `{{ dataset }}.rejected_rows` (load_id, source, month, line_number, raw_line, reason)
SELECT
    @load_id AS load_id,
    source,
    month,
    line_number,
    ANY_VALUE(raw_line) AS raw_line,
    ANY_VALUE(reason) AS reason
FROM `{{ dataset }}.rejected_rows`
WHERE
    load_id = @earlier_load_id
    AND line_number NOT IN (
        SELECT kept.line_number FROM `{{ dataset }}.rejected_rows` AS kept
        WHERE kept.load_id = @load_id
    )
GROUP BY source, month, line_number
