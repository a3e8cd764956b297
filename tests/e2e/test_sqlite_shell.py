"""The stock sqlite3 shell is the administrator's interface: mistakes are refused in a sentence, and change nothing."""

import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.forcetls import REPOSITORY
from lab.solo import Place
from lab.waiting import wait_for

IN_FORCE_DEADLINE_S = 20
SHA256 = ":".join(["AB"] * 32)
SHA1 = ":".join(["AB"] * 20)
# (columns, values, a word of the sentence that tells what to write)
BAD_ROWS = [
    ("domain", "'Bank.Example'", "lower case"),
    ("domain", "'bank.example.'", "trailing dot"),
    ("domain", "' bank.example'", "blank"),
    ("domain", "'bank.example '", "blank"),
    ("domain", "'bank .example'", "blank"),
    ("domain", "'https://bank.example'", "URL"),
    ("domain", "'http://bank.example/'", "URL"),
    ("domain", "'alice@bank.example'", "mail address"),
    ("domain", "'@bank.example'", "mail address"),
    ("domain", "'bänk.example'", "A-labels"),
    ("domain", "'*.bank.example'", ".bank.example"),
    ("domain", "'a.example,b.example'", "one row per domain"),
    ("domain", "''", "missing"),
    ("domain", "NULL", "missing"),
    ("domain", "'.'", "no name"),
    ("domain", "'bank..example'", "empty label"),
    ("domain", "'-bank.example'", "hyphen"),
    ("domain", "'192.0.2.1'", "[192.0.2.1]"),
    ("domain", "'[192.0.2.256]'", "IPv4"),
    ("domain", "'2001:db8::1'", "[ipv6:"),
    ("domain", "'[ipv6:xyz]'", "IPv6"),
    ("domain", "'[mx.bank.example'", "brackets"),
    ("domain", "'mx.bank.example]'", "brackets"),
    ("domain", "'[mx.bank.example]:0'", "port"),
    ("domain", "'[mx.bank.example]:65536'", "port"),
    ("domain", "'relay.example:smtp'", "port"),
    ("domain", "'.bank.example:25'", "port"),
    ("domain", "printf('%064d.example', 0)", "63"),
    ("domain", "replace(hex(zeroblob(100)), '00', 'abc.') || 'example'", "too long"),
    ("domain", "'bank.example' || char(10)", "control"),
    ("domain", "'bank/example'", "character"),
    ("domain, outbound", "'x.example', 'Secure'", "lower case"),
    ("domain, outbound", "'x.example', 'tls'", "outbound must be"),
    ("domain, outbound", "'x.example', NULL", "outbound must be"),
    ("domain, outbound", "'x.example', ''", "outbound must be"),
    ("domain, mode", "'x.example', 'on'", "mode must be"),
    ("domain, match", "'x.example', 'mx.x.example'", "only for"),
    ("domain, outbound, match", "'x.example', 'may', 'mx.x.example'", "only for"),
    ("domain, outbound, match", "'x.example', 'secure', 'a.example b.example'", "blanks"),
    ("domain, outbound, match", "'x.example', 'secure', 'a.example,b.example'", "commas"),
    ("domain, outbound, match", "'x.example', 'secure', ''", "empty"),
    ("domain, outbound, match", "'x.example', 'secure', '*.a.example'", "no *"),
    ("domain, outbound, match", "'x.example', 'secure', 'A.example'", "lower case"),
    ("domain, outbound, match", f"'x.example', 'secure', '{SHA256}'", "digest"),
    ("domain, outbound, match", "'x.example', 'secure', 'a.example::b.example'", "empty name"),
    ("domain, outbound, match", "'x.example', 'secure', '192.0.2.1'", "IP"),
    ("domain, outbound", "'x.example', 'fingerprint'", "SHA-256"),
    ("domain, outbound, match", "'x.example', 'fingerprint', 'mx.x.example'", "SHA-256"),
    ("domain, outbound, match", f"'x.example', 'fingerprint', '{SHA1}'", "SHA-1"),
    ("domain, outbound, match", f"'x.example', 'fingerprint', '{SHA256},{SHA256}'", "commas"),
    ("domain, min_protocol", "'x.example', '1.2'", "TLSv1.2"),
    ("domain, min_protocol", "'x.example', 'SSLv3'", "TLSv1.2"),
    ("domain, ciphers", "'x.example', 'low'", "medium or high"),
    ("domain, exclude", "'x.example', '3DES, aNULL'", "exclude"),
    ("domain, outbound, tafile", "'x.example', 'secure', 'ca.pem'", "absolute"),
    ("domain, tafile", "'x.example', '/etc/ca.pem'", "only for"),
    ("domain, inbound", "'x.example', 'secure'", "inbound must be"),
    ("domain, inbound", "'x.example', 'verify'", "inbound_match"),
    ("domain, inbound_match", "'x.example', 'mail.x.example'", "only for"),
    ("domain, min_bits", "'x.example', 112", "128, 256"),
    ("domain, min_bits", "'x.example', 'many'", ""),
    ("domain, on_failure", "'x.example', 'bounce'", "on_failure must be"),
    ("domain, on_failure", "'x.example', 'reroute'", "fallback"),
    ("domain, fallback", "'x.example', 'smtp:[gw.example]'", "only for"),
    ("domain, on_failure, fallback", "'x.example', 'reroute', 'gw.example'", "transport:nexthop"),
    ("domain, on_failure, fallback", "'x.example', 'reroute', 'discard:x'", "asks forcetls"),
    ("domain, on_failure, fallback", "'x.example', 'reroute', 'smtp:x.example'", "itself"),
    ("domain, note", "'x.example', 'a' || char(0) || 'b'", "plain text"),
]
BAD_SUSPENSIONS = [
    ("'none.example', 'may', datetime('now', '+1 hours'), 'why'", "no row"),
    ("'bank.example', 'secure', datetime('now', '+1 hours'), 'why'", "level"),
    ("'bank.example', NULL, datetime('now', '+1 hours'), 'why'", "level"),
    ("'bank.example', 'may', NULL, 'why'", "always has an end"),
    ("'bank.example', 'may', 'tomorrow', 'why'", "YYYY-MM-DD"),
    ("'bank.example', 'may', '2027-02-30 10:00:00', 'why'", "YYYY-MM-DD"),
    ("'bank.example', 'may', datetime('now', '-1 hours'), 'why'", "later than"),
    ("'bank.example', 'may', datetime('now', '+31 days'), 'why'", "30 days"),
    ("'bank.example', 'may', datetime('now', '+1 hours'), NULL", "reason"),
    ("'bank.example', 'may', datetime('now', '+1 hours'), '  '", "reason"),
]
BAD_STATEMENTS = [
    ("INSERT INTO suspension(domain, level, starts_at, ends_at, reason) VALUES "
     "('bank.example', 'may', datetime('now', '-1 days'), datetime('now', '+1 hours'), 'w')", "in the past"),
    ("UPDATE suspension SET ends_at = datetime('now', '+9 days')", "only become earlier"),
    ("UPDATE suspension SET level = 'encrypt'", "stay as they are"),
    ("UPDATE suspension SET ends_at = NULL", "UTC"),
    ("DELETE FROM suspension", "never deleted"),
    ("UPDATE policy_change SET changed_by = 'nobody'", "append-only"),
    ("DELETE FROM policy_change", "append-only"),
    ("INSERT INTO policy_change(seq, table_name, key) VALUES (1, 'setting', 'x')", "never overwritten"),
    ("INSERT OR REPLACE INTO policy_change(seq, table_name, key) VALUES (1, 'setting', 'x')", "never overwritten"),
    ("UPDATE OR REPLACE domain_policy SET domain = 'bank.example' WHERE domain = 'law.example'", "another row"),
    ("INSERT INTO domain_policy(domain) VALUES ('bank.example') ON CONFLICT DO UPDATE SET outbound = 'may'", "UPDATE"),
    ("REPLACE INTO domain_policy(domain) VALUES ('bank.example')", "UPDATE"),
    ("INSERT INTO domain_policy(domain) VALUES ('bank.example')", "UPDATE"),
    ("UPDATE domain_policy SET outbound = 'fingerprint' WHERE domain = 'bank.example'", "match is missing"),
    ("UPDATE domain_policy SET outbound = 'encrypt' WHERE domain = 'law.example'", "match is only"),
    ("INSERT INTO setting(name, value, description) VALUES ('colour', 'red', 'x')", "no such setting"),
    ("INSERT OR REPLACE INTO setting(name, value, description) VALUES ('forward_level', 'may', 'x')", "UPDATE setting"),
    ("DELETE FROM setting", "cannot be deleted"),
    ("UPDATE setting SET name = 'x'", "fixed"),
    ("UPDATE setting SET value = 'maybe' WHERE name = 'default_outbound'", "unset, encrypt or learn"),
    ("UPDATE setting SET value = 'yes' WHERE name = 'clear_submission'", "tempfail or accept"),
    ("UPDATE setting SET value = '10.0.0.0/33' WHERE name = 'trusted_clients'", "IPv4"),
    ("UPDATE setting SET value = '10.0.0.0/8,::1' WHERE name = 'trusted_clients'", "one blank"),
    ("UPDATE setting SET value = '0.0.0.0/0' WHERE name = 'trusted_clients'", "length 1 to 32"),
    ("UPDATE setting SET value = 'Example.com' WHERE name = 'own_domains'", "lower case"),
    ("UPDATE setting SET value = '' WHERE name = 'enforcing_transports'", "empty"),
    ("UPDATE setting SET value = 'smtp  relay' WHERE name = 'enforcing_transports'", "one blank"),
]
GOOD_ROWS = [
    ("domain", "'plain.example'"), ("domain", "'.plain.example'"), ("domain", "'[mx.plain.example]'"),
    ("domain", "'[relay.example]:587'"), ("domain", "'relay.example:587'"), ("domain", "'[192.0.2.1]'"),
    ("domain", "'[192.0.2.1]:25'"), ("domain", "'[ipv6:2001:db8::1]'"), ("domain", "'xn--bnk-qla.example'"),
    ("domain", "'r3---sn-x.example'"), ("domain", "'_dmarc.example'"), ("domain", "'localhost'"),
    ("domain, outbound, match", "'p1.example', 'secure', '.provider.example:mx.other.example'"),
    ("domain, outbound, match", "'p2.example', 'verify', 'hostname'"),
    ("domain, outbound, match", f"'p3.example', 'fingerprint', '{SHA256}|{SHA256.lower()}'"),
    ("domain, outbound, min_protocol, ciphers, exclude", "'p4.example', 'encrypt', 'TLSv1.3', 'medium', '3DES:aNULL'"),
    ("domain, outbound, tafile", "'p5.example', 'secure', '/etc/postfix/partners/bank.pem'"),
    ("domain, inbound, inbound_match, min_bits", f"'p6.example', 'verify', '{SHA256}', 256"),
    ("domain, inbound, inbound_match", "'p7.example', 'verify', 'mail.p7.example:.p7.example'"),
    ("domain, on_failure, fallback", "'p8.example', 'reroute', 'smtp:[gateway.example]:587'"),
    ("domain, mode, contact, reference, note", "'p9.example', 'off', 'Ann O''Neil', 'INC-1', 'zwei Wörter'"),
    ("domain, outbound", "'p10.example', 'dane-only'"), ("domain, outbound", "'p11.example', 'none'"),
]
README = (REPOSITORY / "README.md").read_text("utf-8")
ONE_LINERS = re.findall(r"^    # *(\d+) .*\n    (sqlite3 .*)$", README, re.MULTILINE)


@pytest.fixture(scope="module", name="place")
def _place():
    place = Place()
    place.init("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')",
               "INSERT INTO domain_policy(domain, outbound, match) "
               "VALUES ('law.example', 'secure', '.provider.example')",
               "INSERT INTO suspension(domain, level, ends_at, reason) "
               "VALUES ('bank.example', 'may', datetime('now', '+1 days'), 'a test')")
    yield place
    place.close()


def _assert_refused(place: Place, sql: str, sentence: str) -> None:
    before = place.policy_db.read_bytes()
    status, said = place.sql(sql)
    assert status != 0, f"accepted: {sql}"
    lines = said.strip().splitlines()
    assert len(lines[0]) > 20 and sentence in lines[0], said
    assert all("near line" not in line for line in lines), said
    assert place.policy_db.read_bytes() == before, "something was changed"


@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"])
@pytest.mark.parametrize(("columns", "values", "sentence"), BAD_ROWS, ids=[values[:50] for _, values, _ in BAD_ROWS])
def test_a_bad_row_is_refused_with_a_sentence(place: Place, verb: str, columns: str, values: str, sentence: str):
    _assert_refused(place, f"{verb} INTO domain_policy({columns}) VALUES ({values})", sentence)


@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"])
@pytest.mark.parametrize(("values", "sentence"), BAD_SUSPENSIONS)
def test_a_bad_suspension_is_refused_with_a_sentence(place: Place, verb: str, values: str, sentence: str):
    _assert_refused(place, f"{verb} INTO suspension(domain, level, ends_at, reason) VALUES ({values})", sentence)


@pytest.mark.parametrize(("sql", "sentence"), BAD_STATEMENTS)
def test_a_bad_statement_is_refused_with_a_sentence(place: Place, sql: str, sentence: str):
    _assert_refused(place, sql, sentence)


def test_a_bad_row_among_good_ones_undoes_the_whole_statement(place: Place):
    _assert_refused(place, "INSERT INTO domain_policy(domain) VALUES ('a.example'), ('b.example'), ('C.example')",
                    "lower case")


@pytest.mark.parametrize(("columns", "values"), GOOD_ROWS, ids=[values[:50] for _, values in GOOD_ROWS])
def test_a_good_row_is_accepted_without_a_word(place: Place, columns: str, values: str):
    assert place.sql(f"INSERT INTO domain_policy({columns}) VALUES ({values})") == (0, "")


def test_policyd_takes_every_row_that_the_shell_accepts():
    place = Place()
    place.init(*(f"INSERT INTO domain_policy({columns}) VALUES ({values})" for columns, values in GOOD_ROWS))
    place.policyd()
    assert place.lookup("p1.example").startswith("OK secure match=.provider.example:mx.other.example ")
    assert place.lookup("[ipv6:2001:db8::1]").startswith("OK encrypt ")
    assert place.lookup("p9.example") == "NOTFOUND "
    place.close()


def test_every_change_is_recorded_with_the_old_and_the_new_row(place: Place):
    place.sql("INSERT INTO domain_policy(domain, note) VALUES ('log.example', 'first')")
    place.sql("UPDATE domain_policy SET outbound = 'secure' WHERE domain = 'log.example'")
    place.sql("DELETE FROM domain_policy WHERE domain = 'log.example'")
    status, rows = place.sql("SELECT old ->> 'outbound', new ->> 'outbound', new ->> 'note' FROM policy_change "
                             "WHERE key = 'log.example' ORDER BY seq")
    assert (status, rows) == (0, "|encrypt|first\nencrypt|secure|first\nsecure||\n")


def test_rows_from_a_file_on_stdin_are_refused_one_by_one_and_the_status_tells(place: Place):
    script = "INSERT INTO domain_policy(domain) VALUES ('Upper.example');\n" \
             "INSERT INTO domain_policy(domain) VALUES ('lower.example');\n"
    result = subprocess.run(["sqlite3", str(place.policy_db)], input=script, capture_output=True, text=True,
                            check=False)
    assert result.returncode == 1 and "not in lower case" in result.stderr
    assert place.sql("SELECT domain FROM domain_policy WHERE domain LIKE '%lower%'")[1] == "lower.example\n"


def test_the_twelve_one_liners_of_the_readme_work_as_they_stand_there():
    assert [int(number) for number, _ in ONE_LINERS] == list(range(1, 13))
    place = Place()
    place.init()
    # Only the path in db= is ours; `forcetls check` is run with the same database, too.
    script = "\n".join(["set -e", f"db={place.policy_db}", *(line for _, line in ONE_LINERS)])
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert "bank.example" in result.stdout and "suspension" in result.stdout
    rows = place.sql("SELECT domain || ' ' || outbound FROM domain_policy")[1].split("\n")
    assert {"bank.example secure", ".bank.example secure", "clinic.example encrypt", "[relay.example]:587 verify",
            "new.example secure"} <= set(rows)
    checked = place.run("forcetls", "check", "someone@bank.example", "--policy-db", str(place.policy_db))
    assert "suspended to encrypt" in checked.stdout
    place.close()


def test_a_row_is_in_force_after_the_shell_s_return_without_a_word_to_policyd(place: Place):
    """How soon is measured by tests/bench/run: within 50 ms."""
    daemon = place.policyd()
    for number in range(20):
        place.sql(f"INSERT INTO domain_policy(domain, outbound) VALUES ('fast-{number}.example', 'secure')")
        _wait_until_in_force(place, f"fast-{number}.example")
    daemon.stop()


def _wait_until_in_force(place: Place, domain: str) -> None:
    wait_for(lambda: place.lookup(domain).startswith("OK secure"), IN_FORCE_DEADLINE_S, f"{domain} to be in force")


def test_the_shell_never_finds_the_database_locked_by_policyd(place: Place):
    daemons = [place.policyd(), place.daemon("forcetls-milter", "--listen", place.address("milter.sock"))]
    daemons[1].start()
    failed = [said for number in range(200) for status, said in
              [place.sql(f"UPDATE domain_policy SET note = '{number}' WHERE domain = 'law.example'")] if status != 0]
    daemons[0].stop()
    daemons[1].kill()  # libmilter takes 5 s to end in order
    assert not failed, f"{len(failed)} of 200: {failed[0]}"


def test_the_shell_never_finds_the_database_locked_by_a_program_that_starts(place: Place):
    """A program reads the whole policy when it starts, also between two commits."""
    failed, over = [], threading.Event()

    def edit() -> None:
        number = 0
        while not over.is_set():
            number += 1
            status, said = place.sql(f"UPDATE domain_policy SET note = '{number}' WHERE domain = 'law.example'")
            failed.extend([said] if status != 0 else [])

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        with ThreadPoolExecutor(max_workers=2) as readers:
            read = list(readers.map(lambda _: place.run("forcetls", "check", "someone@law.example", "--policy-db",
                                                        str(place.policy_db)), range(600)))
        for _ in range(5):
            place.policyd().stop()
    finally:
        over.set()
        editor.join()
    assert all("secure" in check.stdout for check in read)
    assert not failed, f"{len(failed)}: {failed[0]}"


def test_an_older_copy_can_be_put_back_with_the_stock_tools(place: Place, tmp_path: Path):
    daemon = place.policyd()
    backup = tmp_path / "backup.db"
    assert place.sql(f".backup {backup}")[0] == 0
    place.sql("UPDATE domain_policy SET outbound = 'verify' WHERE domain = 'law.example'")
    shutil.copy(place.policy_db, tmp_path / "newer.db")
    assert place.sql(f".restore {backup}") == (0, "")
    assert place.sql("SELECT outbound FROM domain_policy WHERE domain = 'law.example'")[1] == "secure\n"
    _wait_until_in_force(place, "law.example")
    daemon.stop()
