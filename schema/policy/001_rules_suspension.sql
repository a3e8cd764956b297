-- Refuses bad rows of suspension, and every change of one except to end it sooner. Times are UTC
-- text exactly as datetime() gives it: then text order is time order.

CREATE TRIGGER suspension_insert BEFORE INSERT ON suspension BEGIN
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM suspension WHERE id = NEW.id) THEN
      RAISE(ABORT, 'id is given by the database and rows are never overwritten: leave id out')
    WHEN NOT EXISTS (SELECT 1 FROM domain_policy WHERE domain = NEW.domain)
      OR NEW.domain IS NULL THEN
      RAISE(ABORT, 'domain has no row in domain_policy: write the key exactly as SELECT domain FROM domain_policy shows it')
    WHEN coalesce(NEW.level, '') NOT IN ('encrypt', 'may') THEN
      RAISE(ABORT, 'level must be encrypt (any certificate, still encrypted) or may (in clear if it must be); there is no default')
    WHEN NEW.starts_at IS NULL OR NEW.starts_at IS NOT datetime(NEW.starts_at, '+0 days') THEN
      RAISE(ABORT, 'starts_at must be UTC as YYYY-MM-DD HH:MM:SS: leave it out for now, or write datetime(''now'', ''+2 hours'')')
    WHEN NEW.ends_at IS NULL THEN
      RAISE(ABORT, 'ends_at is missing: a suspension always has an end, as datetime(''now'', ''+2 hours'')')
    WHEN NEW.ends_at IS NOT datetime(NEW.ends_at, '+0 days') THEN
      RAISE(ABORT, 'ends_at must be UTC as YYYY-MM-DD HH:MM:SS: write datetime(''now'', ''+2 hours'')')
    WHEN NEW.ends_at <= NEW.starts_at THEN
      RAISE(ABORT, 'ends_at must be later than starts_at: write datetime(''now'', ''+2 hours''), in UTC')
    WHEN NEW.ends_at <= datetime('now') THEN
      RAISE(ABORT, 'ends_at is in the past: write datetime(''now'', ''+2 hours''), in UTC')
    WHEN NEW.starts_at < datetime('now', '-5 minutes') THEN
      RAISE(ABORT, 'starts_at is in the past: leave it out, and the suspension starts now (times are UTC)')
    WHEN unixepoch(NEW.ends_at) - unixepoch(NEW.starts_at) > 2592000 THEN
      RAISE(ABORT, 'ends_at is more than 30 days after starts_at: choose an earlier end; who needs longer changes the row in domain_policy')
    WHEN NEW.reason IS NULL OR trim(NEW.reason, ' ' || char(9, 10, 13)) = '' THEN
      RAISE(ABORT, 'reason is missing: write why, for whoever reads this later')
    WHEN instr(NEW.reason, char(0)) OR instr(NEW.approved_by, char(0))
      OR NEW.reason || coalesce(NEW.approved_by, '')
         GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*' THEN
      RAISE(ABORT, 'reason and approved_by take one line of text, without tabs or line breaks')
    END;
END;

CREATE TRIGGER suspension_update BEFORE UPDATE ON suspension BEGIN
  SELECT CASE
    WHEN NEW.id IS NOT OLD.id OR NEW.domain IS NOT OLD.domain OR NEW.level IS NOT OLD.level
      OR NEW.starts_at IS NOT OLD.starts_at OR NEW.reason IS NOT OLD.reason
      OR NEW.approved_by IS NOT OLD.approved_by THEN
      RAISE(ABORT, 'suspension rows stay as they are; only ends_at may become earlier: UPDATE suspension SET ends_at = datetime(''now'') WHERE id = ...; for anything else INSERT another')
    WHEN NEW.ends_at IS NULL OR NEW.ends_at IS NOT datetime(NEW.ends_at, '+0 days') THEN
      RAISE(ABORT, 'ends_at must be UTC as YYYY-MM-DD HH:MM:SS: write datetime(''now'') to end the suspension')
    WHEN NEW.ends_at > OLD.ends_at AND OLD.ends_at <= datetime('now') THEN
      RAISE(ABORT, 'ends_at: this suspension has ended and stays as it is; add AND ends_at > datetime(''now''), or INSERT a new suspension')
    WHEN NEW.ends_at > OLD.ends_at THEN
      RAISE(ABORT, 'ends_at may only become earlier: to suspend for longer, INSERT another suspension')
    WHEN NEW.ends_at < datetime('now') AND NEW.ends_at <> OLD.ends_at THEN
      RAISE(ABORT, 'ends_at is in the past: write datetime(''now'') to end the suspension now')
    END;
END;

CREATE TRIGGER suspension_delete BEFORE DELETE ON suspension BEGIN
  SELECT RAISE(ABORT, 'suspension rows are never deleted: to end one, UPDATE suspension SET ends_at = datetime(''now'') WHERE id = ...');
END;
