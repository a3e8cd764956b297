-- The newest entries of policy_change up to :seq, newest first: enough of them to tell one history
-- from another.
SELECT seq, at, table_name, key, coalesce(old, ''), coalesce(new, '')
FROM policy_change
WHERE seq <= :seq
ORDER BY seq DESC
LIMIT 16
