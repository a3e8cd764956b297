-- Refuses bad values of domain_policy.match and inbound_match; 001_rules_domain_policy.sql hands
-- them over. Names a.example:.b.example, or SHA-256 digests AA:BB:...|CC:DD:.... The values end up
-- in lines of blank-separated attributes, so nothing but these characters may pass.

CREATE VIEW match_rule AS SELECT '' AS list, 0 AS is_digests, 0 AS is_inbound WHERE 0;

CREATE TRIGGER match_rule_insert INSTEAD OF INSERT ON match_rule BEGIN
  SELECT CASE
    WHEN NEW.list = '' THEN
      RAISE(ABORT, 'match or inbound_match is empty: write NULL, or names as mx.bank.example:.bank.example')
    WHEN length(NEW.list) > 1000 THEN
      RAISE(ABORT, 'match or inbound_match is too long: at most 1000 characters')
    WHEN instr(NEW.list, char(0)) OR NEW.list GLOB '*[^A-Za-z0-9.:|_-]*' THEN CASE
      WHEN NEW.list GLOB '*[ ,;]*' THEN
        RAISE(ABORT, 'match and inbound_match take no blanks or commas: write names as a.example:b.example, digests as AA:BB:...|CC:DD:...')
      WHEN NEW.list GLOB '*[*]*' THEN
        RAISE(ABORT, 'match and inbound_match take no *: write .bank.example for all names below bank.example')
      ELSE
        RAISE(ABORT, 'match or inbound_match holds a character that no name or digest has: write names as a.example:b.example in A-labels, digests as AA:BB:...|CC:DD:...')
      END
    WHEN NEW.is_digests THEN CASE
      WHEN length(NEW.list) IN (47, 59) AND NEW.list NOT GLOB '*[^0-9A-Fa-f:]*' THEN
        RAISE(ABORT, 'match or inbound_match holds an MD5 or SHA-1 digest: write the SHA-256 one (32 pairs AA:BB:...), as openssl x509 -noout -fingerprint -sha256 prints it')
      -- As many times as there is room: 31 pairs HH: and one HH, closed by |.
      WHEN NEW.list || '|' NOT GLOB replace(hex(zeroblob((length(NEW.list) + 1) / 96)), '00',
          replace(substr(hex(zeroblob(16)), 2), '0', '[0-9A-Fa-f][0-9A-Fa-f]:')
          || '[0-9A-Fa-f][0-9A-Fa-f]|') THEN
        RAISE(ABORT, 'match or inbound_match must hold SHA-256 digests, 32 pairs AA:BB:... each, separated by |, as openssl x509 -noout -fingerprint -sha256 prints them')
      END
    WHEN NEW.list GLOB '[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:*' THEN
      RAISE(ABORT, 'match looks like a digest: digests need outbound fingerprint, names are written a.example:b.example')
    WHEN NEW.list GLOB '*|*' THEN
      RAISE(ABORT, 'match and inbound_match separate names by : as in a.example:b.example')
    WHEN NEW.list <> lower(NEW.list) THEN
      RAISE(ABORT, 'match and inbound_match take names in lower case, as mx.bank.example')
    WHEN ':' || NEW.list || ':' GLOB '*::*' THEN
      RAISE(ABORT, 'match or inbound_match has an empty name: write one : between two names, as a.example:b.example')
    WHEN ':' || NEW.list || ':' GLOB '*[.][0-9]:*' OR NEW.list || ':' GLOB '*[.][0-9][0-9]:*'
      OR NEW.list || ':' GLOB '*[.][0-9][0-9][0-9]:*' THEN
      RAISE(ABORT, 'match and inbound_match take no IP addresses: certificates are checked by name, as mx.bank.example')
    WHEN NEW.list || ':' GLOB '*.:*' THEN
      RAISE(ABORT, 'match or inbound_match has a name with a trailing dot: write it without, as mx.bank.example')
    WHEN NEW.list GLOB '*..*' OR ':' || NEW.list || ':' GLOB '*[.:]-*'
      OR ':' || NEW.list || ':' GLOB '*-[.:]*'
      OR (length(NEW.list) > 63 AND (
        NEW.list GLOB '*' || replace(hex(zeroblob(32)), '0', '[^.:]') || '*'
        OR NEW.list GLOB '*' || replace(hex(zeroblob(127)), '0', '[^:]') || '*')) THEN
      RAISE(ABORT, 'match or inbound_match holds something that is no domain name: write names as mx.bank.example:.bank.example')
    WHEN NEW.is_inbound AND (':' || NEW.list || ':' GLOB '*:nexthop:*' OR
        ':' || NEW.list || ':' GLOB '*:dot-nexthop:*' OR
        ':' || NEW.list || ':' GLOB '*:hostname:*') THEN
      RAISE(ABORT, 'inbound_match takes the names in client certificates: nexthop, dot-nexthop and hostname have no meaning there')
    END;
END;
