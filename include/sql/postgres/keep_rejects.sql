-- Keeps a line that can't be read.
-- Grain: one row per line of an attempt.
-- Parameters: bound: load_id, source, month, line_number, raw_line, reason.
-- Twice: safe, a line is kept once.
INSERT INTO taxiway.rejected_rows (load_id, source, month, line_number, raw_line, reason)
VALUES (%(load_id)s, %(source)s, %(month)s, %(line_number)s, %(raw_line)s, %(reason)s)
ON CONFLICT (load_id, line_number) DO NOTHING
