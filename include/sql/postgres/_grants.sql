{#- The statement that gives a role again what it has been granted. Reads granted, a row of ACLEXPLODE.

  role_name(oid)                  a role as GRANT and CREATE POLICY name it
  grant(rights, relation, owner)  the statement, from three expressions; an owner may grant its rights anyway
-#}
{%- macro role_name(oid) -%}
CASE {{ oid }} WHEN 0 THEN 'PUBLIC' ELSE FORMAT('%%I', PG_GET_USERBYID({{ oid }})) END
{%- endmacro -%}

{%- macro grant(rights, relation, owner) -%}
FORMAT(
            'GRANT %%s ON %%s TO %%s%%s', {{ rights }}, {{ relation }},
            {{ role_name("granted.grantee") }},
            CASE WHEN granted.is_grantable AND granted.grantee <> {{ owner }} THEN ' WITH GRANT OPTION' END
        )
{%- endmacro -%}
