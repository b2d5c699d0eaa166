-- Keeps lines that can't be read.
-- Grain: one row per line of an attempt.
-- Parameters: dataset (with its project); bound: load_id, source, month, line_numbers, raw_lines, reasons (three arrays
-- of the same length), most (how many lines of an attempt are kept at the most).
-- Twice: safe, a line of an attempt that is kept already is not kept again.
-- Two steps keep lines of an attempt: the second one has what room the first has left.
INSERT INTO `{{ dataset }}.rejected_rows` (load_id, source, month, line_number, raw_line, reason)
SELECT
    @load_id AS load_id,
    @source AS source,
    @month AS month,
    line_number,
    @raw_lines[OFFSET(position)] AS raw_line,
    @reasons[OFFSET(position)] AS reason
FROM UNNEST(@line_numbers) AS line_number WITH OFFSET AS position
WHERE
    line_number NOT IN (
        SELECT kept.line_number FROM `{{ dataset }}.rejected_rows` AS kept
        WHERE kept.load_id = @load_id
    )
    AND position < @most - (
        SELECT COUNT(*) FROM `{{ dataset }}.rejected_rows` AS kept
        WHERE kept.load_id = @load_id
    )
