-- The newest entry of policy_change; no row if there is none.
SELECT seq, at, table_name, key, coalesce(old, ''), coalesce(new, '')
FROM policy_change
ORDER BY seq DESC
LIMIT 1
