-- Brings a published month to the state of its file: rows that went are deleted, rows that came are inserted.
-- Grain: one row per row of the file; a row that stays is not touched, so readers are never blocked.
-- Parameters: rows_table, partition (with its schema), columns.
-- Twice: safe, the second time nothing differs.
WITH deleted AS (
    DELETE FROM {{ partition }} AS published
    WHERE NOT EXISTS (
        SELECT FROM {{ rows_table }} AS incoming
        WHERE incoming.unique_row_id = published.unique_row_id
    )
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
    WHERE NOT EXISTS (
        SELECT FROM {{ partition }} AS published
        WHERE published.unique_row_id = incoming.unique_row_id
    )
    RETURNING unique_row_id
)

SELECT
    (SELECT COUNT(*) FROM inserted) AS inserted,
    (SELECT COUNT(*) FROM deleted) AS deleted
