"""Partners, and those who stand between, that try to get forced mail out of Sendmail."""

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab
from rows import add_row
from sendmail_site import NEEDS_SENDMAIL, fate_of_mail, start_site

pytestmark = NEEDS_SENDMAIL

# Sendmail writes each of the first ones as three characters, +01, and then has no room for the name in a rule.
NAMES = {"control characters": "\x01" * 254, "quotes": '"' * 254, "backslashes": "\\" * 254, "brackets": "<" * 254,
         "dots": "." * 254, "a comment": "(" * 254, "equals": "=" * 254, "letters of rules": "$*" * 127, "a blank": " "}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_name_in_a_certificate_keeps_the_rules_from_judging_it(lab: Lab, forcetls: Forcetls, name: str):
    partner = add_row(lab, forcetls, "clear", outbound="verify")
    lab.partners.present(partner, lab.pki.self_signed(partner.server.hostname, common_name=name))
    sendmail = start_site(lab, forcetls)
    assert not fate_of_mail(lab, sendmail, partner).startswith(("TLSv1", "GONE"))
    assert not partner.messages
