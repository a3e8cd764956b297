-- Refuses unknown settings and bad values. The programs parse the lists again; what passes here
-- must pass there.

CREATE TRIGGER setting_insert BEFORE INSERT ON setting BEGIN
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM setting WHERE name = NEW.name) THEN
      RAISE(ABORT, 'name: this setting is a row already: write UPDATE setting SET value = ... WHERE name = ...')
    ELSE
      RAISE(ABORT, 'name: there is no such setting: SELECT name, description FROM setting lists those there are')
    END;
END;

CREATE TRIGGER setting_delete BEFORE DELETE ON setting BEGIN
  SELECT RAISE(ABORT, 'setting rows cannot be deleted: UPDATE setting SET value = ... with the first value its description names');
END;

CREATE TRIGGER setting_update BEFORE UPDATE ON setting BEGIN
  SELECT CASE
    WHEN NEW.name IS NOT OLD.name THEN
      RAISE(ABORT, 'name of a setting is fixed: UPDATE setting SET value = ... WHERE name = ...')
    WHEN NEW.description IS NOT OLD.description THEN
      RAISE(ABORT, 'description of a setting is fixed: UPDATE setting SET value = ... WHERE name = ...')
    WHEN NEW.value IS NULL THEN
      RAISE(ABORT, 'value is missing: the description of the setting names the values it takes')
    END;
  SELECT CASE NEW.name
    WHEN 'default_outbound' THEN CASE WHEN NEW.value NOT IN ('unset', 'encrypt', 'learn') THEN
      RAISE(ABORT, 'value of default_outbound must be unset, encrypt or learn') END
    WHEN 'unlisted_relay' THEN CASE WHEN NEW.value NOT IN ('unset', 'encrypt') THEN
      RAISE(ABORT, 'value of unlisted_relay must be unset or encrypt') END
    WHEN 'clear_submission' THEN CASE WHEN NEW.value NOT IN ('tempfail', 'accept') THEN
      RAISE(ABORT, 'value of clear_submission must be tempfail or accept') END
    WHEN 'tls_required_header' THEN
      CASE WHEN NEW.value NOT IN ('auto', 'reject', 'tempfail', 'ignore') THEN
        RAISE(ABORT, 'value of tls_required_header must be auto, reject, tempfail or ignore') END
    WHEN 'early_tempfail' THEN CASE WHEN NEW.value NOT IN ('on', 'off') THEN
      RAISE(ABORT, 'value of early_tempfail must be on or off') END
    WHEN 'forward_level' THEN CASE WHEN NEW.value NOT IN ('may', 'encrypt') THEN
      RAISE(ABORT, 'value of forward_level must be may or encrypt') END
    WHEN 'floor_min_protocol' THEN
      CASE WHEN NEW.value NOT IN ('', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3') THEN
        RAISE(ABORT, 'value of floor_min_protocol must be TLSv1, TLSv1.1, TLSv1.2, TLSv1.3 or empty') END
    WHEN 'floor_ciphers' THEN CASE WHEN NEW.value NOT IN ('', 'medium', 'high') THEN
      RAISE(ABORT, 'value of floor_ciphers must be medium, high or empty') END
    WHEN 'floor_exclude' THEN CASE
      WHEN instr(NEW.value, char(0)) OR NEW.value GLOB '*[^A-Za-z0-9_:+-]*'
        OR (NEW.value <> '' AND ':' || NEW.value || ':' GLOB '*::*')
        OR ':' || NEW.value GLOB '*:[+-]*' OR length(NEW.value) > 1000 THEN
        RAISE(ABORT, 'value of floor_exclude must be OpenSSL cipher names separated by : without blanks, 1000 characters at most, as 3DES:aNULL, or empty')
      END
    WHEN 'trusted_clients' THEN CASE
      WHEN instr(NEW.value, char(0)) OR NEW.value GLOB '*[^0-9a-f.:/ ]*' THEN
        RAISE(ABORT, 'value of trusted_clients takes addresses and networks only, separated by one blank, as 127.0.0.0/8 ::1/128 10.0.0.0/8')
      END
    WHEN 'own_domains' THEN CASE
      WHEN instr(NEW.value, char(0)) OR NEW.value GLOB '*[^a-z0-9._ -]*' THEN
        RAISE(ABORT, 'value of own_domains takes domains in lower case and A-labels, separated by one blank, as example.com example.org')
      END
    WHEN 'enforcing_transports' THEN CASE
      WHEN NEW.value = '' THEN
        RAISE(ABORT, 'value of enforcing_transports is empty: name at least one transport of master.cf, as smtp relay')
      WHEN instr(NEW.value, char(0)) OR NEW.value GLOB '*[^A-Za-z0-9._ -]*' THEN
        RAISE(ABORT, 'value of enforcing_transports takes service names of master.cf, separated by one blank, as smtp relay')
      END
    END;
  SELECT CASE
    WHEN NEW.value GLOB ' *' OR NEW.value GLOB '* ' OR NEW.value GLOB '*  *' THEN
      RAISE(ABORT, 'value: separate the entries by one blank each, none before the first or after the last')
    END;
  INSERT INTO setting_entry_rule
  SELECT NEW.name, value FROM json_each('["' || replace(NEW.value, ' ', '","') || '"]')
  WHERE NEW.name IN ('trusted_clients', 'own_domains') AND NEW.value <> '';
END;

-- One entry of a list.
CREATE VIEW setting_entry_rule AS SELECT '' AS name, '' AS entry WHERE 0;

CREATE TRIGGER setting_entry_rule_insert INSTEAD OF INSERT ON setting_entry_rule BEGIN
  SELECT CASE
    WHEN name = '' OR '.' || name || '.' GLOB '*..*' OR '.' || name || '.' GLOB '*.-*'
      OR '.' || name || '.' GLOB '*-.*' OR length(name) > 253 OR name NOT GLOB '*[^0-9.]*'
      OR name GLOB '*' || replace(hex(zeroblob(32)), '0', '[^.]') || '*' THEN
      RAISE(ABORT, 'value of own_domains holds something that is no domain: write example.com, or .example.com for its sub-domains')
    END
  FROM (SELECT iif(NEW.entry GLOB '.*', substr(NEW.entry, 2), NEW.entry) AS name)
  WHERE NEW.name = 'own_domains';
  SELECT CASE
    WHEN address GLOB '*:*' THEN CASE
      WHEN address GLOB '*[^0-9a-f:]*' OR address NOT GLOB '*:*:*' OR address GLOB '*:::*'
        OR address GLOB '*::*::*' OR address GLOB ':[^:]*' OR address GLOB '*[^:]:'
        OR address GLOB '*[^:][^:][^:][^:][^:]*'
        OR length(address) - length(replace(address, ':', '')) > 7
        OR (address NOT GLOB '*::*' AND length(address) - length(replace(address, ':', '')) <> 7)
        OR (prefix <> '' AND (prefix NOT GLOB '/[1-9]*' OR prefix GLOB '/*[^0-9]*'
                              OR length(prefix) > 4 OR CAST(substr(prefix, 2) AS INTEGER) > 128))
      THEN
        RAISE(ABORT, 'value of trusted_clients holds a bad IPv6 network: write it as fd00::/8 or ::1, without brackets, length 1 to 128')
      END
    WHEN address GLOB '*[^0-9.]*' OR address NOT GLOB '*.*.*.*' OR address GLOB '*.*.*.*.*'
      OR '.' || address || '.' GLOB '*..*' OR '.' || address GLOB '*.0[0-9]*'
      OR address GLOB '*[0-9][0-9][0-9][0-9]*'
      OR '.' || address || '.' GLOB '*.[3-9][0-9][0-9].*'
      OR '.' || address || '.' GLOB '*.2[6-9][0-9].*'
      OR '.' || address || '.' GLOB '*.25[6-9].*'
      OR (prefix <> '' AND (prefix NOT GLOB '/[1-9]*' OR prefix GLOB '/*[^0-9]*'
                            OR length(prefix) > 3 OR CAST(substr(prefix, 2) AS INTEGER) > 32)) THEN
      RAISE(ABORT, 'value of trusted_clients holds a bad IPv4 network: write it as 10.0.0.0/8 or 192.0.2.1, numbers of at most 255, length 1 to 32')
    END
  FROM (SELECT substr(NEW.entry, 1, instr(NEW.entry || '/', '/') - 1) AS address,
               substr(NEW.entry, instr(NEW.entry || '/', '/')) AS prefix)
  WHERE NEW.name = 'trusted_clients';
END;
