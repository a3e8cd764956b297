-- policy.db, schema 2: policy_change names the program of ours that made a change.

PRAGMA user_version = 2;

CREATE TABLE change_author (
  -- Empty. While a program of forcetls writes, and only inside its transaction, it says here who
  -- that is, for policy_change. What a person types is not signed: changed_by is NULL.

  -- The value of changed_by, as "forcetls setup".
  name TEXT NOT NULL
) STRICT;

CREATE TRIGGER policy_change_signed AFTER INSERT ON policy_change
WHEN NEW.changed_by IS NULL AND EXISTS (SELECT 1 FROM change_author) BEGIN
  UPDATE policy_change SET changed_by = (SELECT name FROM change_author) WHERE seq = NEW.seq;
END;

-- That signature is the one change there is, and only the newest row can get it.
DROP TRIGGER policy_change_update;
CREATE TRIGGER policy_change_update BEFORE UPDATE ON policy_change
WHEN OLD.changed_by IS NOT NULL OR NEW.changed_by IS NULL
  OR NEW.changed_by IS NOT (SELECT name FROM change_author)
  OR OLD.seq <> (SELECT max(seq) FROM policy_change)
  OR NEW.seq <> OLD.seq OR NEW.at <> OLD.at OR NEW.table_name <> OLD.table_name
  OR NEW.key <> OLD.key OR NEW.old IS NOT OLD.old OR NEW.new IS NOT OLD.new BEGIN
  SELECT RAISE(ABORT, 'policy_change is append-only: its rows are never changed');
END;
