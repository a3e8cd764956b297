"""forcetls in the lab: the daemons run as they would be installed, and Postfix really asks them."""

from lab.forcetls import Forcetls
from lab.lab import Lab


def test_a_row_typed_into_sqlite3_holds_for_the_next_message(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("clear")
    before = lab.send(partner.address())
    assert lab.outcome(before).status == "sent"
    assert lab.went_in_clear(before.token)

    forcetls.set_policy(f"INSERT INTO domain_policy(domain, outbound) VALUES ('{partner.domain}', 'secure')")
    forcetls.wait_for_answer("tls", partner.domain, "OK secure")
    after = lab.send(partner.address())
    assert lab.outcome(after).dsn == "4.7.4"
    lab.assert_never_in_clear(after.token)


def test_the_daemons_cannot_write_the_policy(forcetls: Forcetls):
    owner = forcetls.policy_db.stat()
    assert (owner.st_uid, owner.st_mode & 0o022) == (0, 0)
    assert forcetls.policy_db.parent.stat().st_mode & 0o022 == 0
    assert all(daemon.runs_unprivileged() for daemon in forcetls.daemons)


def test_a_policyd_that_is_killed_is_back_for_the_next_test(lab: Lab, forcetls: Forcetls):
    partner = lab.partners.add("good")
    forcetls.policyd.kill()
    submission = lab.send(partner.address())
    assert not submission.queue_id or lab.outcome(submission).status == "deferred"
    forcetls.reset()
    assert forcetls.lookup("tls", "x.invalid").startswith("NOTFOUND")
