-- Suspensions that have not ended at :now (Unix seconds), those still to begin included. Times in
-- Unix seconds; one is in force while starts_at_s <= now < ends_at_s.
SELECT domain, level, unixepoch(starts_at) AS starts_at_s, unixepoch(ends_at) AS ends_at_s, reason
FROM suspension
WHERE ends_at > datetime(:now, 'unixepoch') AND starts_at < ends_at
ORDER BY domain, starts_at, id
