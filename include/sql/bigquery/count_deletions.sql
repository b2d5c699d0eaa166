-- Counts a month's published rows, and those that its file lacks: publishing the file would delete them.
-- Grain: one row.
-- Parameters: main_table, rows_table (with their project and dataset); bound: month.
-- Twice: safe, it only reads: of one partition, and of both tables the ids only.
SELECT
    COUNT(*) AS published_rows,
    COUNTIF(incoming.unique_row_id IS NULL) AS deleted_rows
FROM `{{ main_table }}` AS published
LEFT JOIN `{{ rows_table }}` AS incoming ON published.unique_row_id = incoming.unique_row_id
WHERE published.source_month = @month
