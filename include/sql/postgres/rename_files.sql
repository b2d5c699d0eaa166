-- Gives the attempts of a source the unpacked file's name, if version 0.1.0 recorded the downloaded file's name.
-- Grain: the rows of the ledger of one source.
-- Parameters: bound: source, destination.
-- Twice: safe, a name without .gz stays as it is.
UPDATE taxiway.loads
SET filename = LEFT(filename, -3)
WHERE source = %(source)s AND destination = %(destination)s AND filename LIKE '%%.csv.gz'
