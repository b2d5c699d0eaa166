-- Finds when a source's months were published last, and which downloads of their published bytes the ledger has.
-- Grain: one row per month and download; a month without any has one row, with downloaded = FALSE.
-- Parameters: dataset (with its project); bound: source, destination.
-- Twice: safe, it only reads.
SELECT DISTINCT
    months.month,
    months.published_at,
    downloads.sha256 IS NOT NULL AS downloaded,
    downloads.url,
    downloads.etag,
    downloads.last_modified,
    downloads.bytes
FROM `{{ dataset }}.months` AS months
LEFT JOIN `{{ dataset }}.loads` AS downloads
    ON
        months.source = downloads.source
        AND months.destination = downloads.destination
        AND months.month = downloads.month
        AND months.sha256 = downloads.sha256
        AND downloads.state IN ('published', 'unchanged')
WHERE months.source = @source AND months.destination = @destination
ORDER BY months.month
