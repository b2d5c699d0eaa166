-- Notes the digest of a partition that was brought over, if it was as the ledger's last publication left it.
-- Grain: the row of the ledger with the digest of the month.
-- Parameters: bound: source, month, destination, earlier_digest, digest.
-- Twice: safe. If the digest is another one, somebody has changed the partition, and the next load finds that.
UPDATE taxiway.loads
SET partition_digest = %(digest)s
WHERE
    source = %(source)s
    AND month = %(month)s
    AND destination = %(destination)s
    AND partition_digest = %(earlier_digest)s
