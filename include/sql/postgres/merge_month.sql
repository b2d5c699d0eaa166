-- Brings a published month to the state of its file: rows that went are deleted, rows that came are inserted.
-- Grain: one row per row of the file; a row that stays is not touched, so readers are never blocked.
-- Parameters: differences_table (as find_differences leaves it), rows_table, partition (with its schema), columns.
-- Twice: runs once, in the transaction that found the differences.
-- A row is found by its address, and deleted only where that is still the address of its id. What goes is gone before
-- anything comes: a row that somebody has changed comes again with the same id.
WITH deleted AS (
    DELETE FROM {{ partition }} AS published
    USING {{ differences_table }} AS gone
    WHERE
        published.ctid = ANY(ARRAY(SELECT found.published_address FROM {{ differences_table }} AS found))
        AND published.ctid = gone.published_address
        AND published.unique_row_id IS NOT DISTINCT FROM gone.published_id
    RETURNING published.unique_row_id
),

inserted AS (
    INSERT INTO {{ partition }} (
        unique_row_id,
        filename
{%- for column in columns %},
        {{ column.name | identifier }}
{%- endfor %}
    )
    SELECT
        incoming.unique_row_id,
        incoming.filename
{%- for column in columns %},
        incoming.{{ column.name | identifier }}
{%- endfor %}
    FROM {{ rows_table }} AS incoming
    WHERE
        incoming.ctid = ANY(ARRAY(SELECT found.incoming_address FROM {{ differences_table }} AS found))
        AND (SELECT COUNT(*) FROM deleted) >= 0
    RETURNING unique_row_id
)

SELECT
    (SELECT COUNT(*) FROM inserted) AS inserted,
    (SELECT COUNT(*) FROM deleted) AS deleted
