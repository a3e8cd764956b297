"""Partners, and those between, that try to get forced mail out of Sendmail, and ways out of it that the daemon
knows nothing of."""

import re
import shutil

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab
from lab.message import compose
from lab.partner import Behaviour
from rows import add_row, settle
from sendmail_site import NEEDS_SENDMAIL, doctor, fate_of_mail, start_site
from sendmail_table import CERTIFICATE, NO_ANSWER

pytestmark = NEEDS_SENDMAIL

# Sendmail writes each of the first ones as three characters, +01, and then has no room for the name in a rule.
NAMES = {"control characters": "\x01" * 254, "quotes": '"' * 254, "backslashes": "\\" * 254, "brackets": "<" * 254,
         "dots": "." * 254, "a comment": "(" * 254, "equals": "=" * 254, "letters of rules": "$*" * 127, "a blank": " ",
         "quotes that have room": '"' * 250}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_name_in_a_certificate_keeps_the_rules_from_judging_it(lab: Lab, forcetls: Forcetls, name: str):
    partner = add_row(lab, forcetls, "clear", outbound="verify")
    lab.partners.present(partner, lab.pki.self_signed(partner.server.hostname, common_name=name))
    sendmail = start_site(lab, forcetls)
    assert re.search(f"{CERTIFICATE}|Address too long", fate_of_mail(lab, sendmail, partner))
    assert not partner.messages


def test_sendmail_1_hands_mail_to_a_smart_host_of_its_own_while_the_daemon_is_down_and_doctor_says_so(
        lab: Lab, forcetls: Forcetls):
    partner, port = add_row(lab, forcetls, "good"), 2599
    relay = lab.partners.serve("fallback.ours.example", Behaviour(), port=port)
    sendmail = start_site(lab, forcetls)
    fallback = f"define(`confFALLBACK_SMARTHOST', `[{relay.hostname}]')dnl\n"
    for features, severities, leaves in [("", set(), False), (fallback, {"leak"}, True)]:
        sendmail.make_submit("127.0.0.1", port, features)
        message = compose()
        sendmail.submit(message, partner.address())
        assert any(message.token in received.data for received in relay.messages) == leaves
        assert {found["severity"] for found in doctor(forcetls, sendmail)[1]
                if found["id"] == "submit-elsewhere"} == severities


def test_a_sendmail_that_does_not_stay_root_needs_the_sockets_and_doctor_says_so(lab: Lab, forcetls: Forcetls):
    partner = add_row(lab, forcetls, "good")
    sendmail = start_site(lab, forcetls, "define(`confRUN_AS_USER', `nobody')dnl\n")
    shutil.chown(sendmail.queue_directory, "nobody")
    forcetls.sockets.chmod(0o755)
    sockets = list(forcetls.sockets.glob("*.sock"))
    try:
        for mode, fate, named in [(0o600, NO_ANSWER, True), (0o666, "TLSv1.3", False)]:
            for socket in sockets:
                socket.chmod(mode)
            assert re.search(fate, fate_of_mail(lab, sendmail, partner))
            assert any(found["id"] == "run-as-user" for found in doctor(forcetls, sendmail)[1]) == named
            sendmail.empty_queue()
    finally:
        forcetls.sockets.chmod(0o2750)


REDIRECTIONS = {
    "domaintable": ("FEATURE(`domaintable', `hash {file}')dnl\n", "{old}\t{new}\n"),
    "virtusertable": ("FEATURE(`virtusertable', `hash {file}')dnl\nVIRTUSER_DOMAIN(`{old}')dnl\n", "@{old}\t%1@{new}\n"),
    "mailertable": ("FEATURE(`mailertable', `hash {file}')dnl\n", "{old}\tesmtp:user@[{mx}]\n")}


@pytest.mark.parametrize("table", REDIRECTIONS)
def test_an_address_that_this_host_redirects_is_held_to_the_row_of_what_comes_out(
        lab: Lab, forcetls: Forcetls, table: str):
    old, new = add_row(lab, forcetls, "clear"), lab.partners.add("clear")
    feature, entry = REDIRECTIONS[table]
    names = {"old": old.domain, "new": new.domain, "mx": new.server.hostname,
             "file": lab.directory / f"{table}-of-hostile"}
    names["file"].write_text(entry.format(**names), encoding="ascii")
    sendmail = start_site(lab, forcetls, feature.format(**names))
    sendmail.make_map("hash", names["file"])
    message = compose()
    sendmail.send(message, old.address())
    assert [received.in_clear for received in new.received(message.token)] == [True]
    [leak] = [found for found in doctor(forcetls, sendmail)[1] if found["id"] == "recipients-redirected"]
    assert leak["severity"] == "leak"
    forcetls.run_as_administrator(leak["fix"])
    settle(forcetls)
    assert "recipients-redirected" not in {found["id"] for found in doctor(forcetls, sendmail)[1]}
    message = compose()
    sendmail.send(message, old.address())
    assert not new.received(message.token) and "TLS is required" in sendmail.mailq()
    assert not old.messages
