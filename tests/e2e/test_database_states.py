"""Whatever happens to policy.db while mail runs, the last committed policy stays in force; without any, all waits."""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.catalogue import Partner
from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.smtp_client import Submission
from lab.waiting import wait_for
from rows import settle

SIDE_FILES = ("-journal", "-wal", "-shm")
RECOVERY_S = 20
LONG_ENOUGH_S = 0.5  # for policyd to look at the file again and again
WEAKER = "outbound = 'may', match = NULL, tafile = NULL"  # accepted for every row


def _sqlite(path: Path, sql: str) -> None:
    subprocess.run(["sqlite3", str(path), sql], check=True, capture_output=True)


def _truncate(path: Path, _: Path) -> None:
    os.truncate(path, 0)


def _cut_short(path: Path, _: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garbage(path: Path, _: Path) -> None:
    path.write_bytes(os.urandom(100_000))


def _damaged_pages(path: Path, _: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def _replaced_by_foreign(path: Path, spare: Path) -> None:
    _sqlite(spare, "CREATE TABLE domain_policy (domain, mode, outbound); CREATE TABLE setting (name, value)")
    os.replace(spare, path)


def _foreign_copied_over(path: Path, spare: Path) -> None:
    _sqlite(spare, "CREATE TABLE other (x)")
    shutil.copyfile(spare, path)


def _fresh_sqlite_file(path: Path, spare: Path) -> None:
    _sqlite(spare, "VACUUM")
    os.replace(spare, path)


def _newer_schema(path: Path, _: Path) -> None:
    _sqlite(path, "PRAGMA user_version = 99")


def _older_schema(path: Path, _: Path) -> None:
    _sqlite(path, "PRAGMA user_version = 0")


def _wrong_application_id(path: Path, _: Path) -> None:
    _sqlite(path, "PRAGMA application_id = 1")


def _wal(path: Path, _: Path) -> None:
    _sqlite(path, f"PRAGMA journal_mode = WAL; UPDATE domain_policy SET {WEAKER}")


def _no_permission(path: Path, _: Path) -> None:
    path.chmod(0)


def _directory_closed(path: Path, _: Path) -> None:
    path.parent.chmod(0o700)


def _directory_instead(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo_instead(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _dangling_link(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere/policy.db")


def _restored_from_a_missing_file(path: Path, spare: Path) -> None:
    subprocess.run(["sqlite3", str(path), f".restore {spare}"], check=False, capture_output=True)


def _impossible_row(path: Path, _: Path) -> None:
    _sqlite(path, "DROP TRIGGER domain_policy_update; PRAGMA ignore_check_constraints = ON; "
                  "UPDATE domain_policy SET outbound = 'MAY'")


def _deleted(path: Path, _: Path) -> None:
    path.unlink()


def _hot_journal(path: Path, _: Path) -> None:
    """A writer that has put half of its pages into the file is killed."""
    _sqlite(path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO "
                  "domain_policy(domain, outbound) SELECT 'd' || i || '.hot.example', 'secure' FROM n")
    with subprocess.Popen(["sqlite3", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        writer.stdin.write("PRAGMA cache_size = 5;\nPRAGMA cache_spill = 5;\nBEGIN;\n"
                           f"UPDATE domain_policy SET {WEAKER};\nSELECT 'half';\n")
        writer.stdin.flush()
        while writer.stdout.readline() != "half\n":
            assert writer.poll() is None
        assert Path(f"{path}-journal").stat().st_size > 0
        writer.kill()
        writer.stdin.close()


STATES = {function.__name__.strip("_").replace("_", " "): function for function in (
    _deleted, _truncate, _cut_short, _garbage, _damaged_pages, _replaced_by_foreign, _foreign_copied_over,
    _fresh_sqlite_file, _newer_schema, _older_schema, _wrong_application_id, _wal, _no_permission, _directory_closed,
    _directory_instead, _fifo_instead, _dangling_link, _restored_from_a_missing_file, _impossible_row, _hot_journal)}


class PolicyFile:
    """policy.db, a copy of it as it was, and how to put that back."""

    def __init__(self, forcetls: Forcetls, directory: Path) -> None:
        self._forcetls, self.path = forcetls, forcetls.policy_db
        self.spare = directory / "spare.db"
        self._copy = directory / "copy.db"

    def remember(self) -> None:
        """The present state is what put_back() goes back to."""
        shutil.copyfile(self.path, self._copy)

    def put_back(self) -> None:
        """As an administrator would: a copy beside it, then mv."""
        self.path.parent.chmod(0o755)
        if self.path.is_dir():
            self.path.rmdir()
        for suffix in SIDE_FILES:
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        beside = self.path.with_name("beside.db")
        shutil.copyfile(self._copy, beside)
        beside.chmod(0o644)
        os.replace(beside, self.path)


@pytest.fixture(name="policy_file")
def _policy_file(lab: Lab, forcetls: Forcetls, tmp_path: Path):
    del lab
    file = PolicyFile(forcetls, tmp_path)
    file.remember()
    yield file
    file.put_back()
    forcetls.reset()
    settle(forcetls)  # In force again, in both daemons, before the next test.


class Mail:
    """One forced partner that has no TLS, and one that is not forced."""

    def __init__(self, lab: Lab, forcetls: Forcetls) -> None:
        self._lab = lab
        self.forced, self.free, self.good = (lab.partners.add(kind) for kind in ("clear", "clear", "good"))
        forcetls.set_policy(f"INSERT INTO domain_policy(domain, outbound) VALUES ('{self.forced.domain}', 'secure'), "
                            f"('{self.good.domain}', 'secure')")
        forcetls.wait_for_answer("tls", self.forced.domain, "OK secure")

    def assert_flows_by_policy(self) -> None:
        """Forced mail waits for TLS, or has it; other mail is delivered."""
        sent = {partner.domain: self._lab.send(partner.address()) for partner in (self.forced, self.free, self.good)}
        assert self._outcome(sent, self.forced).dsn == "4.7.4"
        assert self._outcome(sent, self.free).status == "sent"
        assert self._outcome(sent, self.good).status == "sent"
        assert self.good.received(sent[self.good.domain].token)[0].tls_version == "TLSv1.3"
        self._lab.assert_never_in_clear(sent[self.forced.domain].token)
        self._lab.assert_never_in_clear(sent[self.good.domain].token)

    def _outcome(self, sent: dict[str, Submission], partner: Partner):
        return self._lab.outcome(sent[partner.domain])


@pytest.mark.parametrize("state", STATES)
def test_the_last_committed_policy_stays_in_force(lab: Lab, forcetls: Forcetls, policy_file: PolicyFile, state: str):
    mail = Mail(lab, forcetls)
    policy_file.remember()
    said = len(forcetls.policyd.output())
    STATES[state](policy_file.path, policy_file.spare)
    wait_for(lambda: "the last committed policy stays in force" in forcetls.policyd.output()[said:], RECOVERY_S,
             "policyd to say that it cannot read the file", forcetls.policyd.output)
    mail.assert_flows_by_policy()
    said = len(forcetls.policyd.output())
    policy_file.put_back()
    wait_for(lambda: "policy in force: " in forcetls.policyd.output()[said:], RECOVERY_S, "policyd to recover",
             forcetls.policyd.output)
    partner = lab.partners.add("clear")
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{partner.domain}')")
    forcetls.wait_for_answer("tls", partner.domain, "OK encrypt", RECOVERY_S)
    mail.assert_flows_by_policy()


@pytest.mark.parametrize("state", STATES)
def test_at_a_cold_start_without_a_readable_policy_all_mail_waits_and_recovers_by_itself(
        lab: Lab, forcetls: Forcetls, policy_file: PolicyFile, state: str):
    mail = Mail(lab, forcetls)
    policy_file.remember()
    forcetls.policyd.kill()
    STATES[state](policy_file.path, policy_file.spare)
    forcetls.start_policyd()
    assert forcetls.lookup("tls", mail.free.domain).startswith("TEMP ")
    assert forcetls.lookup("default", mail.free.domain).startswith("TEMP ")
    assert forcetls.lookup("lmtp", "private/dovecot-lmtp").startswith("TEMP ")
    wait_for(lambda: "all mail waits until the policy can be read" in forcetls.policyd.output(), RECOVERY_S,
             "policyd to say so", forcetls.policyd.output)
    over_smtp = lab.send(mail.free.address())
    assert over_smtp.replies[mail.free.address()].code == 451
    waiting = [lab.sendmail(partner.address()) for partner in (mail.forced, mail.free, mail.good)]
    for submission in waiting:
        assert lab.outcome(submission).dsn == "4.7.5"
    assert not mail.free.messages and not mail.forced.messages and not mail.good.messages
    policy_file.put_back()
    forcetls.wait_for_answer("tls", mail.good.domain, "OK secure", RECOVERY_S)
    lab.postfix.flush()
    assert lab.outcome(waiting[0], attempt=2).dsn == "4.7.4"
    assert lab.outcome(waiting[1], status="sent") and lab.outcome(waiting[2], status="sent")
    assert [len(partner.messages) for partner in (mail.forced, mail.free, mail.good)] == [0, 1, 1]
    lab.assert_never_in_clear(waiting[0].token)
    lab.assert_never_in_clear(waiting[2].token)


@contextmanager
def _shell(path: Path, *statements: str, journal: str = "DELETE"):
    """An open sqlite3 shell that has done the statements."""
    with subprocess.Popen(["sqlite3", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        for statement in (f"PRAGMA journal_mode = {journal}", *statements, "SELECT 'done'"):
            shell.stdin.write(statement + ";\n")
        shell.stdin.flush()
        while shell.stdout.readline() != "done\n":
            assert shell.poll() is None
        yield shell
        shell.stdin.close()


def test_an_exclusive_lock_in_an_open_shell_stops_nothing_and_uncommitted_edits_do_not_count(
        lab: Lab, forcetls: Forcetls, policy_file: PolicyFile):
    mail = Mail(lab, forcetls)
    with _shell(policy_file.path, "BEGIN EXCLUSIVE", "DELETE FROM domain_policy",
                f"INSERT INTO domain_policy(domain) VALUES ('{mail.free.domain}')") as shell:
        mail.assert_flows_by_policy()
        forcetls.milter.kill()
        forcetls.start_milter()  # A cold start beside the lock: it has the last commit, or it waits.
        late = lab.send(mail.forced.address())
        assert not late.queue_id or lab.outcome(late).dsn == "4.7.4"
        shell.stdin.write(f"ROLLBACK;\nINSERT INTO domain_policy(domain) VALUES ('{mail.free.domain}');\n")
    settle(forcetls)  # In the milter, too, which refuses all mail until it has read the file.
    assert lab.outcome(lab.send(mail.free.address())).dsn == "4.7.4"


def test_a_cold_start_beside_an_exclusive_lock_waits_or_answers_by_the_last_commit(
        lab: Lab, forcetls: Forcetls, policy_file: PolicyFile):
    mail = Mail(lab, forcetls)
    forcetls.policyd.kill()
    with _shell(policy_file.path, "BEGIN EXCLUSIVE", f"UPDATE domain_policy SET {WEAKER}"):
        forcetls.start_policyd()
        assert forcetls.lookup("tls", mail.forced.domain).startswith(("TEMP ", "OK secure "))
        submission = lab.sendmail(mail.forced.address())
        assert lab.outcome(submission).dsn in ("4.7.4", "4.7.5")
    forcetls.wait_for_answer("tls", mail.forced.domain, "OK secure ", RECOVERY_S)
    lab.assert_never_in_clear(submission.token)


@pytest.mark.parametrize("by", ["mv", "cp", ".restore", "VACUUM INTO and mv"])
def test_a_database_that_is_replaced_is_in_force_at_once(
        lab: Lab, forcetls: Forcetls, policy_file: PolicyFile, by: str):
    mail = Mail(lab, forcetls)
    spare = policy_file.spare
    _sqlite(policy_file.path, f"VACUUM INTO '{spare}'" if by.startswith("VACUUM") else f".backup {spare}")
    _sqlite(spare, f"DELETE FROM domain_policy WHERE domain = '{mail.forced.domain}'; "
                   f"INSERT INTO domain_policy(domain) VALUES ('{mail.free.domain}')")
    spare.chmod(0o644)
    if by == ".restore":
        _sqlite(policy_file.path, f".restore {spare}")
    else:
        subprocess.run(["cp" if by == "cp" else "mv", str(spare), str(policy_file.path)], check=True)
    forcetls.wait_for_answer("tls", mail.free.domain, "OK encrypt", RECOVERY_S)
    assert forcetls.lookup("tls", mail.forced.domain) == "NOTFOUND "
    assert lab.outcome(lab.send(mail.free.address())).dsn == "4.7.4"


def test_vacuum_and_a_big_transaction_never_show_a_half_policy(lab: Lab, forcetls: Forcetls, policy_file: PolicyFile):
    mail = Mail(lab, forcetls)
    rows = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO "
            "domain_policy(domain) SELECT 'd' || i || '.big.example' FROM n")
    weaken = "UPDATE domain_policy SET outbound = 'encrypt', match = NULL, tafile = NULL"
    with _shell(policy_file.path, "PRAGMA cache_size = 5", "BEGIN", rows, weaken) as shell:
        assert forcetls.lookup("tls", mail.forced.domain).startswith("OK secure ")
        assert forcetls.lookup("tls", "d1.big.example") == "NOTFOUND "
        mail.assert_flows_by_policy()
        shell.stdin.write("COMMIT;\n")
    forcetls.wait_for_answer("tls", "d5000.big.example", "OK encrypt", RECOVERY_S)
    assert forcetls.lookup("tls", mail.forced.domain).startswith("OK encrypt ")
    _sqlite(policy_file.path, "DELETE FROM domain_policy WHERE domain LIKE '%.big.example'; VACUUM")
    forcetls.wait_for_answer("tls", "d5000.big.example", "NOTFOUND", RECOVERY_S)
    assert forcetls.lookup("tls", mail.forced.domain).startswith("OK encrypt ")


def test_after_a_killed_writer_the_next_shell_mends_the_file_and_nothing_of_it_ever_counted(
        lab: Lab, forcetls: Forcetls, policy_file: PolicyFile):
    mail = Mail(lab, forcetls)
    _hot_journal(policy_file.path, policy_file.spare)
    mail.assert_flows_by_policy()
    forcetls.set_policy(f"INSERT INTO domain_policy(domain) VALUES ('{mail.free.domain}')")  # heals it on the way
    forcetls.wait_for_answer("tls", mail.free.domain, "OK encrypt", RECOVERY_S)
    assert forcetls.lookup("tls", mail.forced.domain).startswith("OK secure ")
    assert forcetls.query("PRAGMA integrity_check").strip() == "ok"


@pytest.mark.parametrize("edit", [
    f"UPDATE domain_policy SET outbound = 'may', note = '{'x' * 300}' WHERE domain GLOB 'd*.j.example'",
    "UPDATE domain_policy SET outbound = 'verify' WHERE domain GLOB 'd*.j.example'",
    "DELETE FROM domain_policy WHERE domain GLOB 'd*.j.example'"], ids=["longer", "as long", "deleted"])
@pytest.mark.parametrize("journal", ["DELETE", "TRUNCATE", "PERSIST", "MEMORY"])
def test_pages_that_an_open_transaction_has_put_into_the_file_do_not_count_whatever_its_journal(
        lab: Lab, forcetls: Forcetls, policy_file: PolicyFile, journal: str, edit: str):
    del lab
    _sqlite(policy_file.path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT "
                              "INTO domain_policy(domain, outbound) SELECT 'd' || i || '.j.example', 'secure' FROM n")
    forcetls.wait_for_answer("tls", "d2000.j.example", "OK secure", RECOVERY_S)
    before = policy_file.path.read_bytes()
    with _shell(policy_file.path, "PRAGMA cache_size = 5", "PRAGMA cache_spill = 5",
                "BEGIN", edit, journal=journal) as shell:
        assert policy_file.path.read_bytes() != before, "nothing was written yet: the test shows nothing"
        answers, end = set(), time.monotonic() + LONG_ENOUGH_S
        while time.monotonic() < end:
            answers |= {forcetls.lookup("tls", f"d{number}.j.example")[:9] for number in range(1, 2001, 37)}
        shell.stdin.write("ROLLBACK;\n")
    assert answers == {"OK secure"}, forcetls.policyd.output()[-1500:]
    assert forcetls.lookup("tls", "d2000.j.example").startswith("OK secure")


@pytest.mark.parametrize("by", ["mv", "cp"])
def test_a_replaced_database_counts_whole_though_its_last_change_reads_the_same(
        lab: Lab, forcetls: Forcetls, policy_file: PolicyFile, by: str):
    """Two copies with different rows, whose newest lines in policy_change are alike to the second."""
    forced, common = lab.partners.add("clear"), lab.partners.add("clear")
    policy_file.remember()
    for _ in range(20):
        policy_file.put_back()
        policy_file.spare.unlink(missing_ok=True)
        _sqlite(policy_file.path, f".backup {policy_file.spare}")
        for path, domain in ((policy_file.spare, forced.domain), (policy_file.path, f"x.{forced.domain}")):
            _sqlite(path, f"INSERT INTO domain_policy(domain) VALUES ('{domain}'); "
                          f"INSERT INTO domain_policy(domain) VALUES ('{common.domain}')")
        newest = "SELECT * FROM policy_change ORDER BY seq DESC LIMIT 1"
        if len({subprocess.check_output(["sqlite3", str(path), newest]) for path in (
                policy_file.path, policy_file.spare)}) == 1:
            break
    else:
        pytest.fail("the two never fell into one second")
    forcetls.wait_for_answer("tls", f"x.{forced.domain}", "OK encrypt", RECOVERY_S)
    policy_file.spare.chmod(0o644)
    subprocess.run([by, str(policy_file.spare), str(policy_file.path)], check=True)
    forcetls.wait_for_answer("tls", forced.domain, "OK encrypt", 1)
    assert forcetls.lookup("tls", f"x.{forced.domain}") == "NOTFOUND "
    assert lab.outcome(lab.send(forced.address())).dsn == "4.7.4"
