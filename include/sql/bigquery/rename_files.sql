-- Gives the attempts of a source the unpacked file's name, if version 0.1.0 recorded the downloaded file's name.
-- Grain: the rows of load_events of one source.
-- Parameters: dataset (with its project); bound: source, destination.
-- Twice: safe, a name without .gz stays as it is.
UPDATE `{{ dataset }}.load_events`
SET filename = SUBSTR(filename, 1, LENGTH(filename) - 3)
WHERE source = @source AND destination = @destination AND ENDS_WITH(filename, '.csv.gz')
