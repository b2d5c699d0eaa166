{#- The statements that create extended statistics again: rows of the columns position and statement.
    Reads extended, a relation of the statement with the columns oid, qualified_name, stxowner and stxstattarget. -#}
{%- macro extended_statistics() %}
    SELECT
        1 AS position,
        PG_GET_STATISTICSOBJDEF(extended.oid) AS statement
    FROM extended
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('COMMENT ON STATISTICS %%s IS %%L', extended.qualified_name, OBJ_DESCRIPTION(extended.oid, 'pg_statistic_ext')) AS statement
    FROM extended
    UNION ALL
    SELECT
        2 AS position,
        FORMAT('ALTER STATISTICS %%s SET STATISTICS %%s', extended.qualified_name, extended.stxstattarget) AS statement
    FROM extended
    WHERE extended.stxstattarget >= 0
    UNION ALL
    SELECT
        3 AS position,
        FORMAT('ALTER STATISTICS %%s OWNER TO %%I', extended.qualified_name, PG_GET_USERBYID(extended.stxowner)) AS statement
    FROM extended
    WHERE PG_GET_USERBYID(extended.stxowner) <> CURRENT_USER
{%- endmacro -%}
