-- Writes policy_change, keeps it append-only, and ends the suspensions of a row that is deleted.

CREATE TRIGGER policy_change_insert BEFORE INSERT ON policy_change BEGIN
  -- NEW.seq is -1 while it is not known yet.
  SELECT RAISE(ABORT, 'policy_change is written by triggers: seq and at are given by the database, earlier rows are never overwritten')
  WHERE NEW.seq <> -1 OR NEW.at IS NOT datetime('now');
END;

CREATE TRIGGER policy_change_update BEFORE UPDATE ON policy_change BEGIN
  SELECT RAISE(ABORT, 'policy_change is append-only: its rows are never changed');
END;

CREATE TRIGGER policy_change_delete BEFORE DELETE ON policy_change BEGIN
  SELECT RAISE(ABORT, 'policy_change is append-only: its rows are never deleted');
END;

-- json_patch leaves out what is NULL.

CREATE TRIGGER domain_policy_inserted AFTER INSERT ON domain_policy BEGIN
  INSERT INTO policy_change (table_name, key, new)
  VALUES ('domain_policy', NEW.domain, json_patch('{}', json_object(
    'mode', NEW.mode, 'outbound', NEW.outbound, 'match', NEW.match,
    'min_protocol', NEW.min_protocol, 'ciphers', NEW.ciphers, 'exclude', NEW.exclude,
    'tafile', NEW.tafile, 'inbound', NEW.inbound, 'inbound_match', NEW.inbound_match,
    'min_bits', NEW.min_bits, 'on_failure', NEW.on_failure, 'fallback', NEW.fallback,
    'contact', NEW.contact, 'reference', NEW.reference, 'note', NEW.note)));
END;

CREATE TRIGGER domain_policy_updated AFTER UPDATE ON domain_policy
WHEN NEW.domain = OLD.domain BEGIN
  INSERT INTO policy_change (table_name, key, old, new)
  VALUES ('domain_policy', NEW.domain, json_patch('{}', json_object(
    'mode', OLD.mode, 'outbound', OLD.outbound, 'match', OLD.match,
    'min_protocol', OLD.min_protocol, 'ciphers', OLD.ciphers, 'exclude', OLD.exclude,
    'tafile', OLD.tafile, 'inbound', OLD.inbound, 'inbound_match', OLD.inbound_match,
    'min_bits', OLD.min_bits, 'on_failure', OLD.on_failure, 'fallback', OLD.fallback,
    'contact', OLD.contact, 'reference', OLD.reference, 'note', OLD.note)),
    json_patch('{}', json_object(
    'mode', NEW.mode, 'outbound', NEW.outbound, 'match', NEW.match,
    'min_protocol', NEW.min_protocol, 'ciphers', NEW.ciphers, 'exclude', NEW.exclude,
    'tafile', NEW.tafile, 'inbound', NEW.inbound, 'inbound_match', NEW.inbound_match,
    'min_bits', NEW.min_bits, 'on_failure', NEW.on_failure, 'fallback', NEW.fallback,
    'contact', NEW.contact, 'reference', NEW.reference, 'note', NEW.note)));
END;

-- Another key is another row: written as a deletion and an insertion.
CREATE TRIGGER domain_policy_renamed AFTER UPDATE ON domain_policy
WHEN NEW.domain <> OLD.domain BEGIN
  INSERT INTO policy_change (table_name, key, old)
  VALUES ('domain_policy', OLD.domain, json_patch('{}', json_object(
    'mode', OLD.mode, 'outbound', OLD.outbound, 'match', OLD.match,
    'min_protocol', OLD.min_protocol, 'ciphers', OLD.ciphers, 'exclude', OLD.exclude,
    'tafile', OLD.tafile, 'inbound', OLD.inbound, 'inbound_match', OLD.inbound_match,
    'min_bits', OLD.min_bits, 'on_failure', OLD.on_failure, 'fallback', OLD.fallback,
    'contact', OLD.contact, 'reference', OLD.reference, 'note', OLD.note)));
  INSERT INTO policy_change (table_name, key, new)
  VALUES ('domain_policy', NEW.domain, json_patch('{}', json_object(
    'mode', NEW.mode, 'outbound', NEW.outbound, 'match', NEW.match,
    'min_protocol', NEW.min_protocol, 'ciphers', NEW.ciphers, 'exclude', NEW.exclude,
    'tafile', NEW.tafile, 'inbound', NEW.inbound, 'inbound_match', NEW.inbound_match,
    'min_bits', NEW.min_bits, 'on_failure', NEW.on_failure, 'fallback', NEW.fallback,
    'contact', NEW.contact, 'reference', NEW.reference, 'note', NEW.note)));
  UPDATE suspension SET ends_at = datetime('now')
  WHERE domain = OLD.domain AND ends_at > datetime('now');
END;

-- The suspensions of a deleted row end with it: inserted again, the row is in force at once.
CREATE TRIGGER domain_policy_deleted AFTER DELETE ON domain_policy BEGIN
  INSERT INTO policy_change (table_name, key, old)
  VALUES ('domain_policy', OLD.domain, json_patch('{}', json_object(
    'mode', OLD.mode, 'outbound', OLD.outbound, 'match', OLD.match,
    'min_protocol', OLD.min_protocol, 'ciphers', OLD.ciphers, 'exclude', OLD.exclude,
    'tafile', OLD.tafile, 'inbound', OLD.inbound, 'inbound_match', OLD.inbound_match,
    'min_bits', OLD.min_bits, 'on_failure', OLD.on_failure, 'fallback', OLD.fallback,
    'contact', OLD.contact, 'reference', OLD.reference, 'note', OLD.note)));
  UPDATE suspension SET ends_at = datetime('now')
  WHERE domain = OLD.domain AND ends_at > datetime('now');
END;

CREATE TRIGGER suspension_inserted AFTER INSERT ON suspension BEGIN
  INSERT INTO policy_change (table_name, key, new)
  VALUES ('suspension', NEW.domain, json_patch('{}', json_object(
    'id', NEW.id, 'level', NEW.level, 'starts_at', NEW.starts_at, 'ends_at', NEW.ends_at,
    'reason', NEW.reason, 'approved_by', NEW.approved_by)));
END;

CREATE TRIGGER suspension_updated AFTER UPDATE ON suspension BEGIN
  INSERT INTO policy_change (table_name, key, old, new)
  VALUES ('suspension', NEW.domain, json_patch('{}', json_object(
    'id', OLD.id, 'level', OLD.level, 'starts_at', OLD.starts_at, 'ends_at', OLD.ends_at,
    'reason', OLD.reason, 'approved_by', OLD.approved_by)),
    json_patch('{}', json_object(
    'id', NEW.id, 'level', NEW.level, 'starts_at', NEW.starts_at, 'ends_at', NEW.ends_at,
    'reason', NEW.reason, 'approved_by', NEW.approved_by)));
END;

CREATE TRIGGER setting_updated AFTER UPDATE ON setting BEGIN
  INSERT INTO policy_change (table_name, key, old, new)
  VALUES ('setting', NEW.name, json_object('value', OLD.value), json_object('value', NEW.value));
END;
