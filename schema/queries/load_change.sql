-- One entry of policy_change, to see whether it is still the same.
SELECT seq, at, table_name, key, coalesce(old, ''), coalesce(new, '')
FROM policy_change
WHERE seq = :seq
