-- The settings whose present value :name has written, nobody after it.
SELECT key
FROM (
  SELECT key, changed_by, new, max(seq)
  FROM policy_change
  WHERE table_name = 'setting'
  GROUP BY key) AS last_change
JOIN setting ON setting.name = last_change.key
WHERE changed_by = :name AND new ->> 'value' = setting.value
