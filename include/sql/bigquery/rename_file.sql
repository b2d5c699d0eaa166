-- Gives the rows of a month, then its attempts in the ledger, the unpacked file's name, if version 0.1.0 wrote the
-- downloaded file's name.
-- Grain: the rows of one month; the rows of load_events of one source and month.
-- Parameters: main_table, dataset (with their project), month (YYYY-MM-DD, its first day); bound: source, destination.
-- Twice: safe, a name without .gz stays as it is.
-- Month by month, so that no statement bills more than publishing a month does. The ledger comes last: by it
-- find_earlier_names.sql finds the months that are left.
UPDATE `{{ main_table }}`
SET filename = SUBSTR(filename, 1, LENGTH(filename) - 3)
WHERE source_month = DATE '{{ month }}' AND ENDS_WITH(filename, '.csv.gz');

UPDATE `{{ dataset }}.load_events`
SET filename = SUBSTR(filename, 1, LENGTH(filename) - 3)
WHERE
    source = @source
    AND month = DATE '{{ month }}'
    AND destination = @destination
    AND ENDS_WITH(filename, '.csv.gz')
