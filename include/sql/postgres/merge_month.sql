-- Makes a published month equal to its file. Rows that the file lacks are deleted, new rows are inserted, and rows with
-- the same id and other values are updated.
-- Grain: one row with how many were inserted, deleted and updated, and how many had to be updated. A row that stays is
-- not touched, so readers are never blocked.
-- Parameters: differences_table (as find_differences leaves it), rows_table, partition (with its schema), columns.
-- Twice: runs once, in the transaction that found the differences.
-- A row is found by its address, and changed only if that is still the address of its id. A row that somebody has
-- changed keeps its id: a delete would reach what refers to it. What goes is gone before anything comes.
WITH deleted AS (
    DELETE FROM {{ partition }} AS published
    USING {{ differences_table }} AS gone
    WHERE
        published.ctid = ANY(ARRAY(SELECT found.published_address FROM {{ differences_table }} AS found))
        AND published.ctid = gone.published_address
        AND published.unique_row_id IS NOT DISTINCT FROM gone.published_id
        AND gone.incoming_address IS NULL
    RETURNING published.unique_row_id
),

updated AS (
    UPDATE {{ partition }} AS published
    SET
        filename = incoming.filename
{%- for column in columns %},
        {{ column.name | identifier }} = incoming.{{ column.name | identifier }}
{%- endfor %}
    FROM {{ differences_table }} AS changed
    INNER JOIN {{ rows_table }} AS incoming ON changed.incoming_address = incoming.ctid
    WHERE
        published.ctid = ANY(
            ARRAY(
                SELECT found.published_address FROM {{ differences_table }} AS found
                WHERE found.incoming_address IS NOT NULL
            )
        )
        AND published.ctid = changed.published_address
        AND incoming.ctid = ANY(
            ARRAY(
                SELECT found.incoming_address FROM {{ differences_table }} AS found
                WHERE found.published_address IS NOT NULL
            )
        )
        AND published.unique_row_id = incoming.unique_row_id
        AND (SELECT COUNT(*) FROM deleted) >= 0
    RETURNING published.unique_row_id
),

inserted AS (
    INSERT INTO {{ partition }} (
        unique_row_id,
        filename,
        source_month
{%- for column in columns %},
        {{ column.name | identifier }}
{%- endfor %}
    )
    SELECT
        incoming.unique_row_id,
        incoming.filename,
        incoming.source_month
{%- for column in columns %},
        incoming.{{ column.name | identifier }}
{%- endfor %}
    FROM {{ rows_table }} AS incoming
    WHERE
        incoming.ctid = ANY(
            ARRAY(
                SELECT found.incoming_address FROM {{ differences_table }} AS found
                WHERE found.published_address IS NULL
            )
        )
        AND (SELECT COUNT(*) FROM updated) >= 0
    RETURNING unique_row_id
)

SELECT
    (SELECT COUNT(*) FROM inserted) AS inserted,
    (SELECT COUNT(*) FROM deleted) AS deleted,
    (SELECT COUNT(*) FROM updated) AS updated,
    COUNT(*) AS changed
FROM {{ differences_table }}
WHERE published_address IS NOT NULL AND incoming_address IS NOT NULL
