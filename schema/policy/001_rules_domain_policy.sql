-- Refuses bad rows of domain_policy, each with a sentence that tells what to write instead.
--
-- Every rule stands once, in the triggers of the view domain_policy_rule, which never holds a row:
-- the BEFORE INSERT and the BEFORE UPDATE trigger of the table hand it the new row. RAISE(ABORT)
-- survives OR IGNORE and OR REPLACE, and takes a literal only, hence the long lines. A CASE that
-- matches nothing raises nothing.

CREATE VIEW domain_policy_rule AS SELECT * FROM domain_policy WHERE 0;  -- holds rules, never rows

CREATE TRIGGER domain_policy_insert BEFORE INSERT ON domain_policy BEGIN
  SELECT RAISE(ABORT, 'domain has a row already: write UPDATE domain_policy SET ... WHERE domain = ... (REPLACE and ON CONFLICT are refused, because they would reset columns silently)')
  WHERE EXISTS (SELECT 1 FROM domain_policy WHERE domain = NEW.domain);
  INSERT INTO domain_policy_rule VALUES (
    NEW.domain, NEW.mode, NEW.outbound, NEW.match, NEW.min_protocol, NEW.ciphers, NEW.exclude,
    NEW.tafile, NEW.inbound, NEW.inbound_match, NEW.min_bits, NEW.on_failure, NEW.fallback,
    NEW.contact, NEW.reference, NEW.note);
END;

CREATE TRIGGER domain_policy_update BEFORE UPDATE ON domain_policy BEGIN
  SELECT RAISE(ABORT, 'domain: another row has this key already; DELETE the one that is to go first')
  WHERE NEW.domain <> OLD.domain
    AND EXISTS (SELECT 1 FROM domain_policy WHERE domain = NEW.domain);
  INSERT INTO domain_policy_rule VALUES (
    NEW.domain, NEW.mode, NEW.outbound, NEW.match, NEW.min_protocol, NEW.ciphers, NEW.exclude,
    NEW.tafile, NEW.inbound, NEW.inbound_match, NEW.min_bits, NEW.on_failure, NEW.fallback,
    NEW.contact, NEW.reference, NEW.note);
END;

CREATE TRIGGER domain_policy_rule_insert INSTEAD OF INSERT ON domain_policy_rule BEGIN
  -- The key: characters, then form, host, port. The common mistakes come first.
  SELECT CASE
    WHEN coalesce(NEW.domain, '') = '' THEN
      RAISE(ABORT, 'domain is missing: write the partner''s domain, as in INSERT INTO domain_policy(domain) VALUES (''bank.example'')')
    WHEN instr(NEW.domain, char(0)) OR NEW.domain GLOB '*[^][a-z0-9.:_-]*' THEN CASE
      WHEN instr(NEW.domain, char(0))
        OR NEW.domain GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*' THEN
        RAISE(ABORT, 'domain holds a tab, line break or other control character: write the name alone, as bank.example')
      WHEN NEW.domain GLOB '*://*' THEN
        RAISE(ABORT, 'domain looks like a URL: write the host name alone, as bank.example')
      WHEN NEW.domain GLOB '*@*' THEN
        RAISE(ABORT, 'domain looks like a mail address: write only what follows the @, as bank.example')
      WHEN NEW.domain GLOB '* *' THEN
        RAISE(ABORT, 'domain holds a blank: write the name alone, as bank.example, one row per domain')
      WHEN NEW.domain GLOB '*[^ -~]*' THEN
        RAISE(ABORT, 'domain is not ASCII: write it in A-labels (xn--...), as the command idn2 prints it')
      WHEN NEW.domain <> lower(NEW.domain) THEN
        RAISE(ABORT, 'domain is not in lower case: write it as bank.example')
      WHEN NEW.domain GLOB '*[*]*' THEN
        RAISE(ABORT, 'domain takes no *: write .bank.example for all sub-domains, bank.example for the domain itself, one row each')
      WHEN NEW.domain GLOB '*[,;]*' THEN
        RAISE(ABORT, 'domain takes one name: write one row per domain')
      ELSE
        RAISE(ABORT, 'domain holds a character that no domain name has: a-z, 0-9, - and . only, a next hop as [mx.bank.example]:587')
      END
    WHEN NEW.domain GLOB '*[][]*' AND (
        (NEW.domain NOT GLOB '[[]?*]' AND NEW.domain NOT GLOB '[[]?*]:*')
        OR length(replace(replace(NEW.domain, '[', ''), ']', '')) <> length(NEW.domain) - 2) THEN
      RAISE(ABORT, 'domain has misplaced brackets: write [mx.bank.example] or [mx.bank.example]:587')
    WHEN NEW.domain GLOB '*:*:*' AND NEW.domain NOT GLOB '[[]*' THEN
      RAISE(ABORT, 'domain looks like an IPv6 address: write it in brackets, as [ipv6:2001:db8::1]')
    WHEN NEW.domain GLOB '.*:*' THEN
      RAISE(ABORT, 'domain: a port cannot follow .bank.example: write .bank.example, or a next hop as relay.example:587')
    END;
  SELECT CASE
    WHEN port <> '' AND (port NOT GLOB ':[1-9]*' OR port GLOB ':*[^0-9]*' OR length(port) > 6
                         OR CAST(substr(port, 2) AS INTEGER) > 65535) THEN
      RAISE(ABORT, 'domain has a bad port: write a number from 1 to 65535, as [relay.example]:587 (and the same number in main.cf)')
    WHEN host = '' THEN
      RAISE(ABORT, 'domain has no name: write bank.example, .bank.example or [mx.bank.example]:587')
    WHEN host GLOB '*.' THEN
      RAISE(ABORT, 'domain has a trailing dot: write it without, as bank.example')
    WHEN host GLOB '*:*' OR NEW.domain GLOB '[[]ipv6:*' THEN CASE
      WHEN host NOT GLOB '*:*:*' OR host GLOB '*[^0-9a-f:]*' OR host GLOB '*:::*'
        OR host GLOB '*::*::*' OR host GLOB ':[^:]*' OR host GLOB '*[^:]:'
        OR host GLOB '*[^:][^:][^:][^:][^:]*'
        OR length(host) - length(replace(host, ':', '')) > 7
        OR (host NOT GLOB '*::*' AND length(host) - length(replace(host, ':', '')) <> 7) THEN
        RAISE(ABORT, 'domain is no IPv6 address inside its brackets: write [ipv6:2001:db8::1]')
      END
    WHEN host NOT GLOB '*[^0-9.]*' THEN CASE
      WHEN NEW.domain NOT GLOB '[[]*' THEN
        RAISE(ABORT, 'domain looks like an IP address: write it in brackets, as [192.0.2.1]')
      WHEN host NOT GLOB '*.*.*.*' OR host GLOB '*.*.*.*.*' OR dotted GLOB '*..*'
        OR dotted GLOB '*.0[0-9]*' OR dotted GLOB '*[0-9][0-9][0-9][0-9]*'
        OR dotted GLOB '*.[3-9][0-9][0-9].*' OR dotted GLOB '*.2[6-9][0-9].*'
        OR dotted GLOB '*.25[6-9].*' THEN
        RAISE(ABORT, 'domain is no IPv4 address inside its brackets: write four numbers of at most 255, as [192.0.2.1]')
      END
    WHEN length(host) > 253 OR length(NEW.domain) > 254 THEN
      RAISE(ABORT, 'domain is too long: a name has at most 253 characters, a next hop at most 254 with brackets and port')
    WHEN dotted GLOB '*..*' THEN
      RAISE(ABORT, 'domain has an empty label (two dots in a row): write it as bank.example')
    WHEN dotted GLOB '*.-*' OR dotted GLOB '*-.*' THEN
      RAISE(ABORT, 'domain has a label that begins or ends with a hyphen: write it as bank.example')
    WHEN length(host) > 63
      AND host GLOB '*' || replace(hex(zeroblob(32)), '0', '[^.]') || '*' THEN
      RAISE(ABORT, 'domain has a label of more than 63 characters')
    END
  FROM (SELECT host, port, '.' || host || '.' AS dotted FROM (
    SELECT CASE
        WHEN NEW.domain GLOB '[[]ipv6:*' THEN substr(NEW.domain, 7, instr(NEW.domain, ']') - 7)
        WHEN NEW.domain GLOB '[[]*' THEN substr(NEW.domain, 2, instr(NEW.domain, ']') - 2)
        WHEN NEW.domain GLOB '.*' THEN substr(NEW.domain, 2)
        WHEN NEW.domain GLOB '*:*' THEN substr(NEW.domain, 1, instr(NEW.domain, ':') - 1)
        ELSE NEW.domain
      END AS host,
      CASE
        WHEN NEW.domain GLOB '[[]*' THEN substr(NEW.domain, instr(NEW.domain, ']') + 1)
        WHEN NEW.domain GLOB '*:*' THEN substr(NEW.domain, instr(NEW.domain, ':'))
        ELSE ''
      END AS port));

  -- The words. NULL is none of them.
  SELECT CASE NEW.mode
    WHEN 'enforce' THEN NULL WHEN 'test' THEN NULL WHEN 'off' THEN NULL
    ELSE RAISE(ABORT, 'mode must be off, test or enforce') END;
  SELECT CASE NEW.outbound
    WHEN 'secure' THEN NULL WHEN 'verify' THEN NULL WHEN 'encrypt' THEN NULL WHEN 'dane' THEN NULL
    WHEN 'dane-only' THEN NULL WHEN 'fingerprint' THEN NULL WHEN 'may' THEN NULL
    WHEN 'none' THEN NULL
    ELSE RAISE(ABORT, 'outbound must be none, may, encrypt, dane, dane-only, fingerprint, verify or secure, in lower case') END;
  SELECT CASE NEW.min_protocol
    WHEN 'TLSv1.2' THEN NULL WHEN 'TLSv1.3' THEN NULL WHEN 'TLSv1.1' THEN NULL
    WHEN 'TLSv1' THEN NULL
    ELSE RAISE(ABORT, 'min_protocol must be TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3, spelt exactly so') END;
  SELECT CASE NEW.ciphers
    WHEN 'high' THEN NULL WHEN 'medium' THEN NULL
    ELSE RAISE(ABORT, 'ciphers must be medium or high') END;
  SELECT CASE NEW.inbound
    WHEN 'may' THEN NULL WHEN 'encrypt' THEN NULL WHEN 'verify' THEN NULL
    ELSE RAISE(ABORT, 'inbound must be may, encrypt or verify') END;
  SELECT CASE NEW.on_failure
    WHEN 'tempfail' THEN NULL WHEN 'reject' THEN NULL WHEN 'reroute' THEN NULL
    ELSE RAISE(ABORT, 'on_failure must be tempfail, reject or reroute') END;
  SELECT RAISE(ABORT, 'min_bits must be 128, 256 or NULL')
  WHERE NEW.min_bits IS NOT NULL AND NEW.min_bits NOT IN (128, 256);

  -- Which column goes with which word.
  SELECT CASE
    WHEN NEW.match IS NULL AND NEW.outbound = 'fingerprint' THEN
      RAISE(ABORT, 'match is missing: outbound fingerprint needs the partner''s SHA-256 digests, AA:BB:...|CC:DD:..., as openssl x509 -noout -fingerprint -sha256 prints them')
    WHEN NEW.match IS NOT NULL AND NEW.outbound NOT IN ('verify', 'secure')
      AND NEW.outbound <> 'fingerprint' THEN
      RAISE(ABORT, 'match is only for outbound verify, secure or fingerprint: choose one of these, or set match to NULL')
    WHEN NEW.tafile IS NOT NULL AND NEW.outbound NOT IN ('verify', 'secure') THEN
      RAISE(ABORT, 'tafile is only for outbound verify or secure: choose one of these, or set tafile to NULL')
    WHEN NEW.inbound_match IS NULL AND NEW.inbound = 'verify' THEN
      RAISE(ABORT, 'inbound_match is missing: inbound verify needs the client names or digests it accepts, as mail.bank.example or AA:BB:...|CC:DD:...')
    WHEN NEW.inbound_match IS NOT NULL AND NEW.inbound <> 'verify' THEN
      RAISE(ABORT, 'inbound_match is only for inbound verify: set inbound to verify, or inbound_match to NULL')
    WHEN NEW.fallback IS NULL AND NEW.on_failure = 'reroute' THEN
      RAISE(ABORT, 'fallback is missing: on_failure reroute needs one, written transport:nexthop, as smtp:[gateway.example]:587')
    WHEN NEW.fallback IS NOT NULL AND NEW.on_failure <> 'reroute' THEN
      RAISE(ABORT, 'fallback is only for on_failure reroute: set on_failure to reroute, or fallback to NULL')
    END;

  -- The texts. Most rows have none of them.
  SELECT CASE
    WHEN instr(NEW.exclude, char(0)) OR NEW.exclude GLOB '*[^A-Za-z0-9_:+-]*'
      OR ':' || NEW.exclude || ':' GLOB '*::*' OR ':' || NEW.exclude GLOB '*:[+-]*'
      OR length(NEW.exclude) > 1000 THEN
      RAISE(ABORT, 'exclude must be OpenSSL cipher names separated by : without blanks, 1000 characters at most, as 3DES:aNULL, or NULL')
    WHEN NEW.tafile NOT GLOB '/?*' OR instr(NEW.tafile, char(0))
      OR NEW.tafile GLOB '*[^A-Za-z0-9/._+@-]*' OR NEW.tafile || '/' GLOB '*/../*'
      OR NEW.tafile GLOB '*/' OR length(NEW.tafile) > 255 THEN
      RAISE(ABORT, 'tafile must be the absolute path of a file, with letters, digits and / . _ + @ - only, as /etc/postfix/partners/bank.pem, or NULL')
    WHEN instr(NEW.contact, char(0)) OR instr(NEW.reference, char(0))
      OR instr(NEW.note, char(0)) THEN
      RAISE(ABORT, 'contact, reference and note take plain text: one of them holds a NUL character')
    END;
END;

CREATE TRIGGER domain_policy_rule_match INSTEAD OF INSERT ON domain_policy_rule
WHEN NEW.match IS NOT NULL BEGIN
  INSERT INTO match_rule VALUES (NEW.match, NEW.outbound = 'fingerprint', 0);
END;

CREATE TRIGGER domain_policy_rule_inbound_match INSTEAD OF INSERT ON domain_policy_rule
WHEN NEW.inbound_match IS NOT NULL BEGIN
  INSERT INTO match_rule VALUES (
    NEW.inbound_match,
    NEW.inbound_match GLOB '[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:*',
    1);
END;

CREATE TRIGGER domain_policy_rule_fallback INSTEAD OF INSERT ON domain_policy_rule
WHEN NEW.fallback IS NOT NULL BEGIN
  SELECT CASE
    WHEN instr(NEW.fallback, char(0)) OR NEW.fallback GLOB '*[^][A-Za-z0-9.:_-]*'
      OR NEW.fallback NOT GLOB '?*:?*' OR transport GLOB '*[^A-Za-z0-9._-]*'
      OR next_hop GLOB '*[A-Z]*' OR next_hop GLOB '[.:]*' OR next_hop GLOB '*[.:]'
      OR next_hop GLOB '*..*' OR length(NEW.fallback) > 300 THEN
      RAISE(ABORT, 'fallback must be transport:nexthop without blanks, as smtp:[gateway.example]:587')
    WHEN transport IN ('discard', 'error', 'local', 'pipe', 'retry', 'virtual') THEN
      RAISE(ABORT, 'fallback needs a transport that delivers over SMTP with TLS and asks forcetls, as smtp:[gateway.example]:587')
    WHEN (next_hop GLOB '*[][]*' AND next_hop NOT GLOB '[[]?*]'
          AND next_hop NOT GLOB '[[]?*]:[1-9]*')
      OR length(replace(replace(next_hop, '[', ''), ']', ''))
         NOT IN (length(next_hop), length(next_hop) - 2)
      OR next_hop GLOB '[^[]*:[^1-9]*' OR next_hop GLOB '[^[]*:*[^0-9]*'
      OR next_hop GLOB '*]:*[^0-9]*' OR next_hop GLOB '*:[0-9][0-9][0-9][0-9][0-9][0-9]*' THEN
      RAISE(ABORT, 'fallback has a bad next hop: write the name, [name] or [name]:port after transport:, as smtp:[gateway.example]:587')
    WHEN next_hop = NEW.domain THEN
      RAISE(ABORT, 'fallback leads back to the domain itself: name the gateway, as smtp:[gateway.example]:587')
    END
  FROM (SELECT substr(NEW.fallback, 1, instr(NEW.fallback, ':') - 1) AS transport,
               substr(NEW.fallback, instr(NEW.fallback, ':') + 1) AS next_hop);
END;
