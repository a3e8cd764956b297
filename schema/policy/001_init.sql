-- policy.db, schema 1: what the administrator asks for. People edit it with the stock sqlite3
-- shell. Here are the tables; their comments also show up in `.schema`. The other files of number
-- 001 belong to the same migration: 001_rules_* refuse bad rows with a sentence, 001_log writes
-- policy_change, 001_views tells what is in force. The CHECKs here are only a belt, for databases
-- whose triggers were dropped. schema/README.md tells why it is built this way.
--
-- No IN with more than two constants in CHECKs and triggers of domain_policy: SQLite builds a
-- temporary table for each, anew for every row, and a million rows take half an hour to load.

PRAGMA application_id = 0x46544C53;  -- 'FTLS'
PRAGMA user_version = 1;

CREATE TABLE domain_policy (
  -- One row per partner or next hop, both directions. INSERT what differs from the defaults.

  -- bank.example; .bank.example = every sub-domain, not itself; or a next hop as Postfix spells
  -- it: [mx.bank.example], [relay.example]:587, relay.example:587, [192.0.2.1],
  -- [ipv6:2001:db8::1]. Lower case, A-labels (xn--...).
  domain TEXT NOT NULL PRIMARY KEY,
  -- off = as if the row were not there; test = so too, but recorded; enforce.
  mode TEXT NOT NULL DEFAULT 'enforce',
  -- What mail TO the domain must have, in Postfix's words: none, may, encrypt, dane, dane-only,
  -- fingerprint, verify, secure. Forced: encrypt, dane-only, fingerprint, verify, secure.
  outbound TEXT NOT NULL DEFAULT 'encrypt',
  -- At verify and secure: server names a.example:.b.example (NULL at secure = the next hop and its
  -- sub-domains). At fingerprint: SHA-256 digests AA:BB:...|CC:DD:..., required. Otherwise NULL.
  match TEXT,
  -- Lowest protocol, both directions, where the level is forced: TLSv1, TLSv1.1, TLSv1.2, TLSv1.3.
  min_protocol TEXT NOT NULL DEFAULT 'TLSv1.2',
  -- Cipher grade where the level is forced: medium, high.
  ciphers TEXT NOT NULL DEFAULT 'high',
  -- Ciphers not to use where the level is forced, as OpenSSL names them: 3DES:aNULL; or NULL.
  exclude TEXT,
  -- Absolute path of a file with the partner's private trust anchors, as seen inside Postfix's
  -- chroot, at verify and secure; or NULL = the public ones.
  tafile TEXT,
  -- What mail FROM the domain (envelope sender) must arrive with: may, encrypt, verify = a client
  -- certificate that inbound_match lists.
  inbound TEXT NOT NULL DEFAULT 'may',
  -- At verify, required: client names a.example:b.example or SHA-256 digests AA:BB:...|CC:DD:...
  inbound_match TEXT,
  -- Smallest cipher strength accepted inbound, in bits: 128, 256; NULL = any.
  min_bits INTEGER,
  -- Mail that cannot be delivered as required: tempfail = waits; reject = refused when it comes
  -- in; reroute = goes to fallback.
  on_failure TEXT NOT NULL DEFAULT 'tempfail',
  -- With reroute, transport:nexthop: smtp:[gateway.example]:587. Otherwise NULL.
  fallback TEXT,
  -- Whom to call at the partner.
  contact TEXT,
  -- Which contract or ticket asked for this.
  reference TEXT,
  -- Anything else worth knowing.
  note TEXT,

  CONSTRAINT domain_form CHECK (
    length(domain) BETWEEN 1 AND 254 AND domain NOT GLOB '*[^][a-z0-9.:_-]*' AND
    instr(domain, char(0)) = 0),
  CONSTRAINT mode_value CHECK (mode = 'off' OR mode = 'test' OR mode = 'enforce'),
  CONSTRAINT outbound_value CHECK (
    outbound = 'none' OR outbound = 'may' OR outbound = 'encrypt' OR outbound = 'dane' OR
    outbound = 'dane-only' OR outbound = 'fingerprint' OR outbound = 'verify' OR
    outbound = 'secure'),
  CONSTRAINT match_form CHECK (
    match <> '' AND match NOT GLOB '*[^A-Za-z0-9.:|_-]*' AND instr(match, char(0)) = 0),
  CONSTRAINT match_needs_level CHECK (
    match IS NULL OR outbound = 'fingerprint' OR outbound = 'verify' OR outbound = 'secure'),
  CONSTRAINT fingerprint_needs_match CHECK (outbound <> 'fingerprint' OR match IS NOT NULL),
  CONSTRAINT min_protocol_value CHECK (
    min_protocol = 'TLSv1' OR min_protocol GLOB 'TLSv1.[1-3]'),
  CONSTRAINT ciphers_value CHECK (ciphers IN ('medium', 'high')),
  CONSTRAINT exclude_form CHECK (
    exclude <> '' AND exclude NOT GLOB '*[^A-Za-z0-9_:+-]*' AND instr(exclude, char(0)) = 0),
  CONSTRAINT tafile_form CHECK (
    tafile GLOB '/*' AND tafile NOT GLOB '*[^A-Za-z0-9/._+@-]*' AND instr(tafile, char(0)) = 0),
  CONSTRAINT tafile_needs_level CHECK (tafile IS NULL OR outbound IN ('verify', 'secure')),
  CONSTRAINT inbound_value CHECK (
    inbound = 'may' OR inbound = 'encrypt' OR inbound = 'verify'),
  CONSTRAINT inbound_match_form CHECK (
    inbound_match <> '' AND inbound_match NOT GLOB '*[^A-Za-z0-9.:|_-]*' AND
    instr(inbound_match, char(0)) = 0),
  CONSTRAINT inbound_verify_needs_match CHECK (
    (inbound = 'verify') = (inbound_match IS NOT NULL)),
  CONSTRAINT min_bits_value CHECK (min_bits IN (128, 256)),
  CONSTRAINT on_failure_value CHECK (
    on_failure = 'tempfail' OR on_failure = 'reject' OR on_failure = 'reroute'),
  CONSTRAINT fallback_form CHECK (
    fallback GLOB '?*:?*' AND fallback NOT GLOB '*[^][A-Za-z0-9.:_-]*' AND
    instr(fallback, char(0)) = 0),
  CONSTRAINT fallback_needs_reroute CHECK ((on_failure = 'reroute') = (fallback IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE suspension (
  -- Lowers an existing row for a while; begins and ends by itself. Rows stay for ever; the only
  -- change is to end one sooner: UPDATE suspension SET ends_at = datetime('now') WHERE id = 7.

  -- Given by the database.
  id INTEGER PRIMARY KEY,
  -- The key of the domain_policy row.
  domain TEXT NOT NULL,
  -- encrypt = any certificate, still encrypted; may = in clear if it must be. No default. Of
  -- overlapping ones encrypt wins. none and may stay.
  level TEXT NOT NULL,
  -- First second of the suspension, UTC.
  starts_at TEXT NOT NULL DEFAULT (datetime('now')),
  -- First second after it, UTC: datetime('now', '+2 hours'). At most 30 days after starts_at. At
  -- or before starts_at: called off before it began.
  ends_at TEXT NOT NULL,
  -- Why, in one line.
  reason TEXT NOT NULL,
  -- Who took the decision.
  approved_by TEXT,

  CONSTRAINT id_from_database CHECK (id > 0),
  CONSTRAINT level_value CHECK (level IN ('encrypt', 'may')),
  CONSTRAINT at_most_30_days CHECK (unixepoch(ends_at) - unixepoch(starts_at) <= 2592000),
  CONSTRAINT reason_given CHECK (trim(reason) <> '')
) STRICT;

CREATE INDEX suspension_by_domain ON suspension (domain);

CREATE TABLE setting (
  -- One row for every setting there is: UPDATE setting SET value = 'encrypt' WHERE name = '...'.

  -- Fixed.
  name TEXT NOT NULL PRIMARY KEY,
  -- See description. Several values are separated by one blank each.
  value TEXT NOT NULL,
  -- What it does and which values it takes, default first. Fixed.
  description TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO setting (name, value, description) VALUES
  ('default_outbound', 'unset', 'Answer for a domain without a row: unset = none of ours, '
    || 'encrypt, learn = encrypt for domains known to offer TLS'),
  ('unlisted_relay', 'unset', 'Answer for a next hop [host], [host]:port or host:port without a '
    || 'row: unset = none of ours, encrypt. Loopback is always left alone'),
  ('clear_submission', 'tempfail', 'Mail for a forced domain that arrives in clear from a client '
    || 'not in trusted_clients: tempfail, accept'),
  ('trusted_clients', '127.0.0.0/8 ::1/128 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7',
    'Networks exempt from clear_submission and inbound rules: addresses or ADDRESS/LENGTH, '
    || 'separated by one blank'),
  ('own_domains', '', 'Domains we receive for, separated by one blank, .example.com for '
    || 'sub-domains: never subject to clear_submission (RFC 3207 section 4)'),
  ('enforcing_transports', 'smtp relay forcetls esmtp', 'Mailers that ask forcetls-policyd before '
    || 'they deliver, by their master.cf names, separated by one blank'),
  ('tls_required_header', 'auto', 'A "TLS-Required: no" header with a forced recipient: auto = '
    || 'reject where the MTA would obey it, else ignore; reject; tempfail; ignore'),
  ('early_tempfail', 'on', 'Refuse at RCPT when a fresh check says that the partner cannot meet '
    || 'its requirement: on, off. Takes effect with forcetls-monitor: not used by this release'),
  ('floor_exclude', '', 'Ciphers that main.cf excludes everywhere, as OpenSSL names them, separated '
    || 'by colons: added to exclude of every forced row. forcetls setup records it'),
  ('floor_min_protocol', '', 'Lowest protocol that main.cf allows where TLS is forced: empty = no '
    || 'floor, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3. forcetls setup records it'),
  ('floor_ciphers', '', 'Cipher grade that main.cf asks for where TLS is forced: empty = no floor, '
    || 'medium, high. forcetls setup records it'),
  ('forward_level', 'may', 'Level of TLS-only forwards: may, encrypt. Takes effect with the '
    || 'sender map: not used by this release');

CREATE TABLE policy_change (
  -- Every change of the tables above, written by triggers. Append-only.

  -- Order of the changes; given by the database.
  seq INTEGER PRIMARY KEY,
  -- When, UTC.
  at TEXT NOT NULL DEFAULT (datetime('now')),
  -- Who. The sqlite3 shell cannot tell: NULL = by hand.
  changed_by TEXT,
  -- domain_policy, suspension or setting.
  table_name TEXT NOT NULL,
  -- The domain, or the name of the setting.
  key TEXT NOT NULL,
  -- The row before, as JSON without its NULLs; NULL = the row is new.
  old TEXT,
  -- The row after, as JSON without its NULLs; NULL = the row was deleted.
  new TEXT,

  CONSTRAINT seq_from_database CHECK (seq > 0),
  CONSTRAINT table_name_value CHECK (
    table_name = 'domain_policy' OR table_name = 'suspension' OR table_name = 'setting')
) STRICT;
