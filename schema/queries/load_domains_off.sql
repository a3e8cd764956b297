-- The domains whose row is in mode off: no row to the programs, but another one cannot be added.
SELECT domain
FROM domain_policy
WHERE mode = 'off'
