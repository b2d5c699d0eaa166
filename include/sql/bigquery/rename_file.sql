-- Gives the rows of a month the unpacked file's name, if version 0.1.0 wrote the downloaded file's name.
-- Grain: the rows of one month.
-- Parameters: main_table (with its project and dataset), month (YYYY-MM-DD, its first day).
-- Twice: safe, a name without .gz stays as it is.
-- Month by month, so that no statement bills more than publishing a month does.
UPDATE `{{ main_table }}`
SET filename = SUBSTR(filename, 1, LENGTH(filename) - 3)
WHERE source_month = DATE '{{ month }}' AND ENDS_WITH(filename, '.csv.gz')
