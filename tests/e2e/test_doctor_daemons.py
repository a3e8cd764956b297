"""forcetls doctor and the running daemons: dead, hanging, out of reach, or with another policy than policy.db."""

import signal
import socket

import pytest

from doctor_site import LEAK, NOTHING, WARNING, _bolted, ids, run_fix  # noqa: F401 (a fixture)
from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.site_services import TlsPolicyResolver


def test_a_dead_policyd_is_found(lab: Lab, bolted: Forcetls):
    del lab
    bolted.policyd.stop()
    status, findings = bolted.doctor()
    bolted.start_policyd()
    assert status == WARNING
    assert ids(findings, "leak", "warning") == {"policyd-unreachable"}, findings


def test_a_milter_that_connects_and_does_not_answer_is_found(lab: Lab, bolted: Forcetls):
    del lab
    bolted.milter.signal(signal.SIGSTOP)
    try:
        status, findings = bolted.doctor()
    finally:
        bolted.milter.signal(signal.SIGCONT)
    assert status == WARNING
    assert ids(findings, "leak", "warning") == {"policyd-unreachable"}, findings
    assert {finding["fix"] for finding in findings if finding["severity"] == "warning"} == {
        "systemctl restart forcetls-milter"}


def test_a_foreign_milter_is_left_alone(lab: Lab, bolted: Forcetls):
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        lab.postfix.set(smtpd_milters=f"{lab.postfix.get('smtpd_milters')}, inet:127.0.0.1:{foreign.getsockname()[1]}")
        bolted.doctor()
        foreign.setblocking(False)
        with pytest.raises(BlockingIOError):
            foreign.accept()


def test_a_policyd_that_reads_another_database_is_found(lab: Lab, bolted: Forcetls):
    partner = lab.partners.add("clear")
    older = bolted.policy_db.with_name("older.db")
    bolted.query(f".backup {older}")
    older.chmod(0o644)
    bolted.add_row(partner.domain, "encrypt")
    assert bolted.doctor()[0] == NOTHING
    bolted.policyd.stop()
    bolted.start_policyd(older)
    leaked = lab.send(f"u@{partner.domain}")
    assert lab.outcome(leaked).status == "sent" and not partner.server.messages[-1].tls_version
    status, findings = bolted.doctor()
    assert status == LEAK and ids(findings, "leak", "warning") == {"policyd-answers"}, findings
    assert partner.domain in findings[0]["what"] and findings[0]["fix"] == "systemctl restart forcetls-policyd"
    bolted.policyd.stop()
    bolted.start_policyd()
    older.unlink()
    assert bolted.doctor()[0] == NOTHING
    assert lab.outcome(lab.send(f"u@{partner.domain}")).status == "deferred"


def test_a_socketmap_of_others_called_tls_is_found_and_the_command_closes_it(lab: Lab, bolted: Forcetls):
    partner = lab.partners.add("clear")
    bolted.add_row(partner.domain, "encrypt")
    others = TlsPolicyResolver({})
    lab.postfix.set(smtp_tls_policy_maps=f"socketmap:{others.address}:tls")
    lab.postfix.reload()
    assert lab.outcome(lab.send(f"u@{partner.domain}")).status == "sent"
    status, findings = bolted.doctor()
    assert status == LEAK and ids(findings, "leak", "warning") == {"policyd-answers"}, findings
    others.answers = {partner.domain: "may", "bank.example": "may"}
    assert "says may" in bolted.doctor()[1][0]["what"]
    run_fix(lab, findings[0]["fix"])
    assert f"socketmap:{others.address}:tls" in lab.postfix.get("smtp_tls_policy_maps")
    assert bolted.doctor()[0] == NOTHING
    assert lab.outcome(lab.send(f"u@{partner.domain}")).status == "deferred"
    others.close()


def test_a_socket_outside_the_chroot_is_found_and_its_command_closes_it(lab: Lab, bolted: Forcetls):
    lab.postfix.set(smtpd_milters=f"unix:{lab.postfix.queue_directory}/forcetls/milter.sock")
    lab.postfix.reload(smtpd_answers=False)
    status, findings = bolted.doctor()
    assert status == WARNING and ids(findings, "leak", "warning") == {"socket-path"}, findings
    run_fix(lab, findings[0]["fix"])
    assert bolted.doctor()[0] == NOTHING


def test_wal_mode_is_found_and_its_command_closes_it(lab: Lab, bolted: Forcetls):
    bolted.query("PRAGMA journal_mode = WAL")
    status, findings = bolted.doctor()
    wal = [finding for finding in findings if finding["id"] == "policy-db-wal"]
    assert status == WARNING and len(wal) == 1, findings
    run_fix(lab, wal[0]["fix"])
    assert "policy-db-wal" not in ids(bolted.doctor()[1])
