-- What is in force right now and what was changed lately, for people to read.

-- The suspensions that count now.
CREATE VIEW active_suspension AS
SELECT id, domain, level, starts_at, ends_at, reason, approved_by
FROM suspension
WHERE starts_at <= datetime('now') AND datetime('now') < ends_at;

-- What each row asks for right now, suspensions and (at the forced levels) floors applied, and why. in_force is 0 for a row in mode
-- off or test: nothing is enforced, so all that follows is NULL.
CREATE VIEW effective_policy AS
SELECT
  domain,
  mode,
  in_force,
  CASE WHEN in_force THEN iif(outbound_lowered, cap, outbound) END AS outbound,
  CASE WHEN in_force AND NOT outbound_lowered THEN match END AS match,
  -- The newer protocol is the later text. (Inbound keeps the row's own.)
  CASE WHEN in_force THEN iif(forced, max(min_protocol, floor_min_protocol), min_protocol) END
    AS min_protocol,
  CASE WHEN in_force THEN iif(forced AND floor_ciphers = 'high', 'high', ciphers) END AS ciphers,
  CASE WHEN in_force THEN iif(forced AND floor_exclude <> '', (
    SELECT group_concat(name, ':') FROM (
      SELECT exclude AS name WHERE exclude IS NOT NULL
      UNION ALL
      SELECT value FROM json_each('["' || replace(floor_exclude, ':', '","') || '"]')
      WHERE instr(':' || coalesce(exclude, '') || ':', ':' || value || ':') = 0)),
    exclude) END AS exclude,
  CASE WHEN in_force AND NOT outbound_lowered THEN tafile END AS tafile,
  CASE WHEN in_force THEN iif(inbound_lowered, cap, inbound) END AS inbound,
  CASE WHEN in_force AND NOT inbound_lowered THEN inbound_match END AS inbound_match,
  CASE WHEN in_force THEN min_bits END AS min_bits,
  CASE WHEN in_force THEN on_failure END AS on_failure,
  CASE WHEN in_force THEN fallback END AS fallback,
  CASE
    WHEN mode = 'off' THEN 'mode is off: nothing is enforced'
    WHEN mode = 'test' THEN 'mode is test: nothing is enforced, outbound would be '
      || iif(outbound_lowered, cap, outbound) || ', inbound ' || iif(inbound_lowered, cap, inbound)
    WHEN cap IS NULL THEN 'as written in domain_policy'
    WHEN NOT outbound_lowered AND NOT inbound_lowered THEN
      'as written in domain_policy; suspension ' || suspension_id || ' to ' || cap
      || ' lowers nothing'
    ELSE 'suspension ' || suspension_id || ' until ' || ends_at || ' UTC: '
      || iif(outbound_lowered, 'outbound ' || outbound || ' lowered to ' || cap || ', ', '')
      || iif(inbound_lowered, 'inbound ' || inbound || ' lowered to ' || cap || ', ', '')
      || 'because: ' || reason
  END AS why
FROM (
  SELECT r.*,
    iif(outbound_lowered, cap, outbound) NOT IN ('none', 'may', 'dane') AS forced,
    (SELECT value FROM setting WHERE name = 'floor_min_protocol') AS floor_min_protocol,
    (SELECT value FROM setting WHERE name = 'floor_ciphers') AS floor_ciphers,
    (SELECT value FROM setting WHERE name = 'floor_exclude') AS floor_exclude
  FROM (
    SELECT p.*, s.id AS suspension_id, s.level AS cap, s.ends_at, s.reason,
      p.mode = 'enforce' AS in_force,
      coalesce(s.level = 'may' AND p.outbound NOT IN ('none', 'may')
               OR s.level = 'encrypt' AND p.outbound NOT IN ('none', 'may', 'encrypt'), 0)
        AS outbound_lowered,
      coalesce(s.level = 'may' AND p.inbound <> 'may'
               OR s.level = 'encrypt' AND p.inbound = 'verify', 0) AS inbound_lowered
    FROM domain_policy AS p
    LEFT JOIN suspension AS s ON s.id = (
      -- Of overlapping ones the stricter counts, and of these the one that lasts longest.
      SELECT a.id FROM active_suspension AS a WHERE a.domain = p.domain
      ORDER BY a.level = 'may', a.ends_at DESC, a.id LIMIT 1)) AS r);

-- The last 100 changes, newest first, in words.
CREATE VIEW recent_change AS
SELECT seq, at, changed_by, table_name, key,
  CASE
    WHEN old IS NULL THEN 'added ' || new
    WHEN new IS NULL THEN 'deleted ' || old
    ELSE coalesce((
      SELECT group_concat(column_name || ': ' || coalesce(before, 'NULL') || ' -> '
                          || coalesce(after, 'NULL'), ', ')
      FROM (
        SELECT o.key AS column_name, o.value AS before, n.value AS after
        FROM json_each(old) AS o LEFT JOIN json_each(new) AS n ON n.key = o.key
        WHERE n.value IS NOT o.value
        UNION ALL
        SELECT n.key, NULL, n.value FROM json_each(new) AS n
        WHERE n.key NOT IN (SELECT o.key FROM json_each(old) AS o))), 'no difference')
  END AS change
FROM policy_change
ORDER BY seq DESC LIMIT 100;
