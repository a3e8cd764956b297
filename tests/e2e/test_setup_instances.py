"""Two Postfix instances on one host that use the same policy: what setup does for one never takes from the other."""

import pytest

from lab.forcetls import Forcetls
from lab.lab import Lab
from setup_site import SHARED, Site, site_fixture  # noqa: F401

SECOND_PORT = 10225


@pytest.fixture(scope="module", name="other")
def _other(shared_lab: Lab, shared_forcetls: Forcetls) -> Forcetls:
    forcetls = Forcetls(shared_lab.directory / "forcetls-other",
                        shared_lab.start_second_instance(SECOND_PORT, "postfix-other"))
    forcetls.init()
    forcetls.start()
    forcetls.policy_db = shared_forcetls.policy_db  # For setup; its daemons need not answer by it.
    forcetls.postfix.remember_configuration()
    yield forcetls
    forcetls.stop()


@pytest.fixture(name="second")
def _second(other: Forcetls) -> Forcetls:
    """The other instance, with sockets of its own. Its setup records in the policy of the first one."""
    yield other
    other.postfix.restore_configuration()


def test_each_adds_to_the_lists_and_neither_takes_from_the_other(site: Site, second: Forcetls):
    site.append("", "first-only unix - - y - - smtp\n")
    second.postfix.set(mydestination="second.example, localhost")
    second.postfix.set_service("second-only unix - - y - - smtp")
    assert site.forcetls.setup("--apply").returncode == 0
    second.set_up("--apply")
    both = {"own_domains": "ours.example localhost second.example",
            "enforcing_transports": "smtp relay forcetls esmtp first-only second-only"}
    assert {name: site.settings()[name] for name in SHARED} == both
    for result in (site.forcetls.setup("--apply").stdout, second.set_up("--apply")):
        assert "nothing to change" in result and "own_domains" not in result

    site.lab.postfix.set(mydestination="ours.example, localhost, third.example")
    assert site.forcetls.setup("--apply").returncode == 0
    both["own_domains"] += " third.example"
    assert {name: site.settings()[name] for name in SHARED} == both
    second.set_up("--undo")
    assert {name: site.settings()[name] for name in SHARED} == both
    assert site.forcetls.setup("--undo").returncode == 0
    assert {name: site.settings()[name] for name in SHARED} == both
    assert "written by hand" not in second.set_up("--apply")
    second.set_up("--undo")


def test_what_one_main_cf_demands_holds_for_the_answers_to_both_as_long_as_there_is_one(
        site: Site, second: Forcetls):
    site.forcetls.add_row("both.example", "verify")
    for postfix, parameters in ((site.lab.postfix, {"smtp_tls_mandatory_protocols": ">=TLSv1.3"}),
                                (second.postfix, {"smtp_tls_mandatory_protocols": ">=TLSv1.3",
                                                  "smtp_tls_mandatory_exclude_ciphers": "3DES"})):
        postfix.set(**parameters)
    only_tls_1_3 = "OK verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2 ciphers=high"
    assert site.forcetls.setup("--apply").returncode == 0
    assert site.answers("tls", "both.example", only_tls_1_3)
    second.set_up("--apply")
    assert site.answers("tls", "both.example", f"{only_tls_1_3} exclude=3DES")
    assert site.forcetls.setup("--undo").returncode == 0
    assert site.answers("tls", "both.example", f"{only_tls_1_3} exclude=3DES")
    assert "floor_exclude" in second.set_up("--undo")
