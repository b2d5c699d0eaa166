-- Lists lines that an attempt could not read, the first ones of their order.
-- Grain: one row per line.
-- Parameters: by_reason (whether they are sorted by reason); bound: load_id, source, month, most (rows).
-- Twice: safe, it only reads.
SELECT
    line_number,
    raw_line,
    reason
FROM taxiway.rejected_rows
WHERE load_id = %(load_id)s AND source = %(source)s AND month = %(month)s
ORDER BY {{ "reason, line_number" if by_reason else "line_number" }}
LIMIT %(most)s
