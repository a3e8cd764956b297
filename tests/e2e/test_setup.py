"""`forcetls setup` on a real Postfix: what it shows is what it does, and --undo leaves no trace."""

import os
import re
import shutil
import smtplib
import subprocess
from pathlib import Path

import pytest

from lab.forcetls import MAIN_CF_SNIPPET
from lab.waiting import wait_for
from setup_site import (BACKUP, CHANGES, EX_CONFIG, EX_TEMPFAIL, SHARED, SITES, TABLE, Site, one_line,
                        site_fixture)  # noqa: F401


@pytest.mark.parametrize("name", SITES)
def test_without_apply_it_shows_a_diff_with_reasons_and_changes_nothing(site: Site, name: str):
    site.append(*SITES[name])
    before, settings = site.state(), site.settings()
    result = site.forcetls.setup()
    assert result.returncode == CHANGES and not result.stderr
    assert (site.state(), site.settings()) == (before, settings)
    reasons, diff = result.stdout.split("\n\n", 1)
    assert "--- main.cf\n+++ main.cf with forcetls\n" in diff
    assert re.search(r"^\+smtp_tls_policy_maps = socketmap:unix:forcetls/map.sock:tls, ", diff, re.MULTILINE)
    assert "main.cf: smtp_tls_policy_maps: asked for each next hop" in reasons
    for parameter in re.findall(r"^\+(\w+) =", diff, re.MULTILINE):
        assert f"main.cf: {parameter}: " in reasons


def test_what_is_shown_is_what_is_done(site: Site):
    site.append(*SITES["comments, continuation lines and $names"])
    shown = re.search(r"^--- .*?(?=\n\n)", site.forcetls.setup().stdout, re.MULTILINE | re.DOTALL)[0]
    old = {name: (site.etc / name).read_text("utf-8") for name in ("main.cf", "master.cf")}
    assert site.forcetls.setup("--apply").returncode == 0
    done = ""
    for name, text in old.items():
        (site.etc / f"{BACKUP}/x").write_text(text, encoding="utf-8")
        done += subprocess.run(["diff", "-u", "--label", name, "--label", f"{name} with forcetls",
                                site.etc / f"{BACKUP}/x", site.etc / name], capture_output=True, text=True,
                               check=False).stdout
    assert shown.strip() == done.strip()


def test_it_writes_the_values_of_the_snippet_for_use_by_hand(site: Site):
    site.lab.postfix.apply_main_cf(site.forcetls.main_cf_lines())
    shutil.copy(MAIN_CF_SNIPPET.parent / TABLE, site.etc / TABLE)
    by_hand = site.values()
    site.lab.postfix.restore_configuration("stock")
    (site.etc / TABLE).unlink()
    # The lab's stock main.cf has a store of authorities of its own, which setup keeps.
    by_hand["smtp_tls_CAfile"] = site.values()["smtp_tls_CAfile"]
    assert site.forcetls.setup("--apply").returncode == 0
    assert site.values() == by_hand
    assert (site.etc / TABLE).read_bytes() == (MAIN_CF_SNIPPET.parent / TABLE).read_bytes()


def test_the_lines_added_by_hand_need_no_change(site: Site):
    site.lab.postfix.apply_main_cf(site.forcetls.main_cf_lines())
    shutil.copy(MAIN_CF_SNIPPET.parent / TABLE, site.etc / TABLE)
    for name, value in (("own_domains", "ours.example localhost"), ("tls_required_header", "ignore")):
        site.forcetls.set_policy(f"UPDATE setting SET value = '{value}' WHERE name = '{name}'")
    result = site.forcetls.setup()
    assert result.returncode == 0, result.stdout
    assert "nothing to change" in result.stdout


# -- applying and undoing --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", SITES)
def test_applied_a_row_holds_and_undone_every_byte_is_back(site: Site, name: str):
    site.append(*SITES[name])
    before, settings = site.state(), site.settings()
    applied = site.forcetls.setup("--apply")
    assert applied.returncode == 0, applied.stderr
    again, changed = site.forcetls.setup("--apply"), site.state()
    assert again.returncode == 0 and "nothing to change" in again.stdout
    assert site.state() == changed

    partner = site.lab.partners.add("clear")
    site.forcetls.add_row(partner.domain, "encrypt")
    held = site.lab.sendmail(partner.address())
    if "resolver" not in name:  # There our milter is not the only one: the site's own does not answer.
        assert site.lab.outcome(held).dsn == "4.7.4"
    site.lab.assert_never_in_clear(held.token)

    undone = site.forcetls.setup("--undo")
    assert undone.returncode == 0, undone.stderr
    assert site.state() == before
    # What others may need stays (test_setup_instances.py).
    assert {**site.settings(), **{name: settings[name] for name in SHARED}} == settings
    assert not (site.etc / BACKUP).exists()
    assert "nothing to undo" in site.forcetls.setup("--undo").stdout


def test_last_lines_without_a_newline_stay_lines_of_their_own(site: Site):
    for name, line in (("main.cf", "smtp_destination_concurrency_limit = 3"),
                       ("master.cf", "10027 inet n - y - - smtpd -o smtpd_milters=inet:h:1")):
        with (site.etc / name).open("a", encoding="ascii") as file:
            file.write(line)
    site.lab.postfix.cool_configuration()
    before = site.state()
    applied = site.forcetls.setup("--apply")
    assert applied.returncode == 0, applied.stderr
    assert site.lab.postfix.get("smtp_destination_concurrency_limit") == "3"
    assert site.forcetls.setup("--undo").returncode == 0
    assert site.state() == before


def test_a_listener_without_tls_by_the_old_parameter_stays_one(site: Site):
    site.lab.postfix.set(smtpd_tls_security_level="", smtpd_use_tls="yes")
    site.append("", "10027 inet n - y - - smtpd -o smtpd_use_tls=no\n")

    def offers_tls(port: int) -> bool:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            return client.has_extn("starttls")

    before = offers_tls(25), offers_tls(10027)
    applied = site.forcetls.setup("--apply")
    assert applied.returncode == 0, applied.stderr
    assert (offers_tls(25), offers_tls(10027)) == before == (True, False)


def test_main_cf_as_a_symbolic_link_stays_one(site: Site):
    real = site.etc / "main.cf.real"
    (site.etc / "main.cf").rename(real)
    (site.etc / "main.cf").symlink_to(real)
    before = real.read_bytes()
    try:
        assert site.forcetls.setup("--apply").returncode == 0
        assert (site.etc / "main.cf").is_symlink() and real.read_bytes() != before
        assert site.forcetls.setup("--undo").returncode == 0
        assert (site.etc / "main.cf").is_symlink() and real.read_bytes() == before
    finally:
        (site.etc / "main.cf").unlink()
        real.rename(site.etc / "main.cf")


def test_a_later_apply_keeps_the_first_backup(site: Site):
    before = site.state()
    assert site.forcetls.setup("--apply", "--bounce-bodies").returncode == 0
    assert "bounce_size_limit = 1\n" not in (site.etc / "main.cf").read_text("utf-8")
    assert site.forcetls.setup("--apply").returncode == 0
    assert "bounce_size_limit = 1\n" in (site.etc / "main.cf").read_text("utf-8")
    assert site.forcetls.setup("--undo").returncode == 0
    assert site.state() == before


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_undo_is_refused_after_a_change_by_hand(site: Site, name: str):
    assert site.forcetls.setup("--apply").returncode == 0
    with (site.etc / name).open("a", encoding="utf-8") as file:
        file.write("# a note\n")
    before = site.state()
    line = one_line(site.forcetls.setup("--undo"), EX_CONFIG)
    assert f"{site.etc / name} was changed since" in line and f"{site.etc / BACKUP}" in line
    command = re.search(r"\((diff .*?)\)", line)[1].split()
    assert [row for row in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
            if row.startswith(("<", ">"))] == ["> # a note"]
    assert site.state() == before


def test_apply_after_a_change_by_hand_starts_a_new_backup(site: Site):
    assert site.forcetls.setup("--apply").returncode == 0
    site.lab.postfix.set(smtp_connection_cache_on_demand="yes")
    by_hand = (site.etc / "main.cf").read_bytes()
    result = site.forcetls.setup("--apply")
    assert result.returncode == 0 and "was changed by hand" in result.stdout
    assert (site.etc / f"{BACKUP}.1" / "main.cf").exists()
    assert site.forcetls.setup("--undo").returncode == 0
    assert (site.etc / "main.cf").read_bytes() == by_hand
    assert (site.etc / TABLE).exists()  # Which that main.cf names.


def test_what_the_first_apply_set_is_known_after_changes_by_hand(site: Site):
    site.lab.postfix.set(smtp_tls_mandatory_ciphers="high")
    assert site.forcetls.setup("--apply").returncode == 0
    site.lab.postfix.set(smtp_connection_cache_on_demand="yes")
    assert "was changed by hand" in site.forcetls.setup("--apply").stdout
    site.lab.postfix.set(mydestination="ours.example, localhost, new.example")
    third = site.forcetls.setup("--apply")
    assert third.returncode == 0 and "written by hand" not in third.stdout
    assert site.settings()["own_domains"] == "ours.example localhost new.example"
    undone = site.forcetls.setup("--undo")
    assert "UPDATE setting SET value = '' WHERE name = 'floor_ciphers'" in undone.stdout


# -- what goes with it -----------------------------------------------------------------------------------------------

def test_what_main_cf_demands_is_a_floor_of_every_answer_and_stays_one(site: Site):
    """Undone, too: another instance may rely on it. The way back is printed, for a person to go."""
    site.forcetls.add_row("floor.example", "verify")
    without = "OK verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high"
    floor = "OK verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2 ciphers=high exclude=MD5:RC4:3DES"
    site.lab.postfix.set(smtp_tls_mandatory_exclude_ciphers="RC4, 3DES", smtp_tls_exclude_ciphers="MD5",
                         smtp_tls_mandatory_protocols=">=TLSv1.3", smtp_tls_mandatory_ciphers="high")
    before = site.settings()
    assert site.answers("tls", "floor.example", without)
    assert site.forcetls.setup("--apply").returncode == 0
    assert site.answers("tls", "floor.example", floor)
    applied = site.settings()
    undone = site.forcetls.setup("--undo")
    assert undone.returncode == 0
    assert {**site.settings(), "tls_required_header": ""} == {**applied, "tls_required_header": ""}
    assert site.answers("tls", "floor.example", floor)
    stays, = [line for line in undone.stdout.splitlines() if "stay as they are" in line]
    assert all(name in stays for name in ("floor_exclude", "floor_min_protocol", "floor_ciphers", "own_domains"))
    site.forcetls.run_as_administrator(stays[stays.index("sqlite3 "):])
    assert site.settings() == before
    assert site.answers("tls", "floor.example", without)


def test_what_main_cf_asks_of_everybody_is_not_lowered_by_the_defaults(site: Site):
    wrong, good, weaker = (site.lab.partners.add(kind) for kind in ("wrong-name", "good", "wrong-name"))
    site.lab.postfix.set(smtp_tls_security_level="secure")
    for name in ("default_outbound", "unlisted_relay"):
        site.forcetls.set_policy(f"UPDATE setting SET value = 'encrypt' WHERE name = '{name}'")
    site.forcetls.wait_for_answer("default", wrong.domain, "OK encrypt")
    assert site.forcetls.setup("--apply").returncode == 0
    status, findings = site.forcetls.doctor()
    assert status == 0, findings
    assert site.lab.outcome(site.lab.send(wrong.address())).dsn == "4.7.5"
    assert not wrong.messages
    assert site.lab.outcome(site.lab.send(good.address())).status == "sent"
    # A row is somebody's word: it holds, and setup says so.
    site.forcetls.add_row(weaker.domain, "encrypt")
    assert f"the row of {weaker.domain} (encrypt) asks for less" in site.forcetls.setup().stdout
    assert site.lab.outcome(site.lab.send(weaker.address())).status == "sent"
    assert site.forcetls.setup("--undo").returncode == 0


def test_a_parameter_that_main_cf_sets_twice_does_not_stand_in_the_way(site: Site):
    """Every tool of Postfix warns of it each time, on standard error."""
    site.append("biff = no\nbiff = no\nsmtpd_milters = inet:127.0.0.1:8891\nsmtpd_milters =\n", "")
    before = site.state()
    applied = site.forcetls.setup("--apply")
    assert applied.returncode == 0, applied.stderr
    assert "nothing to change" in site.forcetls.setup("--apply").stdout
    status, findings = site.forcetls.doctor()
    assert status == 0, findings
    assert site.forcetls.setup("--undo").returncode == 0
    assert site.state() == before


def test_a_table_of_the_same_name_comes_back(site: Site):
    """From an earlier version, installed by hand: without it, main.cf would name a table that is not there."""
    (site.etc / TABLE).write_text("/^5.9.9/ 4.0.0\n", encoding="ascii")
    site.append(f"smtp_delivery_status_filter = regexp:$config_directory/{TABLE}\n", "")
    before = site.state()
    assert site.forcetls.setup("--apply").returncode == 0
    assert site.state()[TABLE] != before[TABLE]
    assert site.forcetls.setup("--undo").returncode == 0
    assert site.state() == before


def test_bounces_with_bodies_are_written_down_so_that_the_doctor_knows(site: Site):
    assert site.forcetls.setup("--apply", "--bounce-bodies").returncode == 0
    status, findings = site.forcetls.doctor()
    assert status == 0, findings


def test_own_domains_and_transports_are_filled_unless_a_person_has(site: Site):
    site.append("virtual_alias_domains = virtual.example\n", "tls-only unix - - y - - smtp\n")
    assert site.forcetls.setup("--apply").returncode == 0
    settings = site.settings()
    assert settings["own_domains"] == "ours.example localhost virtual.example"
    assert settings["enforcing_transports"] == "smtp relay forcetls esmtp tls-only"
    assert site.forcetls.query("SELECT DISTINCT changed_by FROM policy_change WHERE key = 'own_domains' "
                               "AND new LIKE '%virtual.example%'") == "forcetls setup\n"
    assert site.forcetls.setup("--undo").returncode == 0
    site.forcetls.set_policy("UPDATE setting SET value = 'mine.example' WHERE name = 'own_domains'")
    applied = site.forcetls.setup("--apply")
    assert applied.returncode == 0
    assert "own_domains was written by hand and has no ours.example and 2 more" in applied.stdout
    assert site.settings()["own_domains"] == "mine.example"


def test_own_domains_in_a_file_are_found_and_a_table_that_cannot_be_read_is_named(site: Site):
    (site.etc / "domains").write_text("# ours\nfile.example other.example\n", encoding="ascii")
    site.append("virtual_alias_domains = $config_directory/domains, regexp:$config_directory/patterns\n", "")
    (site.etc / "patterns").write_text("/^x$/ x\n", encoding="ascii")
    try:
        applied = site.forcetls.setup("--apply")
        assert applied.returncode == 0
        assert site.settings()["own_domains"] == "ours.example localhost file.example other.example"
        advice, = [line for line in applied.stdout.splitlines() if "cannot be read here" in line]
        assert f"regexp:{site.etc}/patterns" in advice
        site.forcetls.run_as_administrator(advice[advice.index("sqlite3 "):].replace("DOMAIN", "by.hand.example"))
        assert site.settings()["own_domains"].endswith(" by.hand.example")
    finally:
        (site.etc / "domains").unlink()
        (site.etc / "patterns").unlink()


def test_a_trust_anchor_is_copied_to_where_postfix_opens_it(site: Site, tmp_path: Path):
    partner = site.lab.partners.add("unknown-ca")
    anchor = tmp_path / "anchor.pem"
    anchor.write_bytes(site.lab.pki.unknown.cert_file.read_bytes())
    inside = Path(f"{site.lab.postfix.queue_directory}{anchor}")
    site.forcetls.add_row(partner.domain, "secure", tafile=str(anchor), match=f".{partner.domain}")
    result = site.forcetls.setup("--apply")
    assert result.returncode == 0 and str(inside) in result.stdout
    assert inside.read_bytes() == anchor.read_bytes() and os.stat(inside).st_mode & 0o444 == 0o444
    outcome = site.lab.outcome(site.lab.send(partner.address()))
    assert outcome.status == "sent", outcome
    assert site.forcetls.setup("--undo").returncode == 0
    assert not inside.exists()


def test_next_hops_are_listed_with_a_row_for_each(site: Site):
    transport = site.lab.postfix.table("transport", {"lan.customer.example": "smtp:[lan.example]:25"})
    site.lab.postfix.set(relayhost="[relay.isp.example]:587", transport_maps=transport)
    shown = site.forcetls.setup().stdout
    for key in ("[relay.isp.example]:587", "[lan.example]:25"):
        row = r'sqlite3 \S+ "(INSERT INTO domain_policy[^"]*' + re.escape(f"'{key}'") + r'[^"]*)"'
        proposal = re.search(row, shown)
        assert proposal, shown
        site.forcetls.set_policy(proposal[1])
        assert f"'{key}'" not in site.forcetls.setup().stdout
        site.forcetls.set_policy(f"DELETE FROM domain_policy WHERE domain = '{key}'")


def test_two_at_once_do_not_meet(site: Site):
    def turns_away() -> bool:
        return site.forcetls.setup().returncode == EX_TEMPFAIL

    holder = subprocess.Popen(["flock", "-x", str(site.etc), "sh", "-c", "echo held; read line"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == "held\n"
    try:
        wait_for(turns_away, 30, "setup to be turned away")
    finally:
        holder.communicate("go on\n")
