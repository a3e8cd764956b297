-- The keys of the domain_policy rows that were inserted, changed or deleted after :seq.
SELECT DISTINCT key
FROM policy_change
WHERE seq > :seq AND table_name = 'domain_policy'
