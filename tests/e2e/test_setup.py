"""`forcetls setup` on a real Postfix: what it shows is what it does, and --undo leaves no trace."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab.forcetls import MAIN_CF_SNIPPET, Forcetls
from lab.host_files import DAEMON_USER
from lab.lab import Lab
from lab.waiting import wait_for

CHANGES, EX_USAGE, EX_NOINPUT, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 1, 64, 66, 75, 77, 78
TABLE = "forcetls-delivery-status"
BACKUP = "forcetls-setup"

# What a site may have in its files: appended to the lab's main.cf and master.cf.
SITES = {
    "stock": ("", ""),
    "comments, continuation lines and $names": ("""
# our tables
smtp_tls_policy_maps =
    # the old one
    texthash:$config_directory/old,
\t$more_maps

more_maps = inline:{ a.example=secure, b.example=encrypt }
smtpd_recipient_restrictions = permit_mynetworks,
  reject_unauth_destination
   # the last line
mua_recipient_restrictions = permit_sasl_authenticated, reject
""", """
submission inet n - y - - smtpd
  -o syslog_name=postfix/submission
# a comment between
  -o smtpd_recipient_restrictions=$mua_recipient_restrictions
  -o { smtpd_milters = { inet:127.0.0.1:8891, default_action=accept } }
  -o smtpd_client_restrictions=
"""),
    "an MTA-STS resolver, milters and a policy service": ("""
smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix
smtpd_milters = { inet:127.0.0.1:8891, default_action=accept, connect_timeout=1s }
non_smtpd_milters = $smtpd_milters
smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:10023, timeout=1s, default_action=DUNNO }
""", ""),
    "a remote content filter with its way back": ("""
default_transport = smtp
relay_domains = customer.example
""", """
10024 inet n - y - - smtpd -o content_filter=smtp:[filter.lan.example]:10025
127.0.0.1:10026 inet n - y - - smtpd -o content_filter= -o smtpd_milters= -o receive_override_options=no_milters
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
"""),
    "a parameter that is set twice, of which every tool warns": ("""
maximal_queue_lifetime = 4d
maximal_queue_lifetime = 5d
""", ""),
    "transports of its own": ("""
smtp_connection_cache_destinations = lan.example
smtp_delivery_status_filter = regexp:$config_directory/own-filter
""", """
plain unix - - y - - smtp -o smtp_tls_policy_maps= -o smtp_tls_security_level=none
slow  unix - - y - 1 smtp
        -o smtp_connection_cache_on_demand=yes -o smtp_tls_loglevel=0
        -o smtp_tls_policy_maps=texthash:$config_directory/old
"""),
}


class Site:
    """The lab's Postfix as the package left it, with daemons that answer, and what lies in its directory."""

    def __init__(self, lab: Lab, forcetls: Forcetls) -> None:
        self.lab, self.forcetls, self.etc = lab, forcetls, lab.postfix.etc

    def append(self, main_cf: str, master_cf: str) -> None:
        """Lines at the ends of main.cf and master.cf, and the tables that SITES name."""
        (self.etc / "old").write_text("old.example secure\n", encoding="ascii")
        (self.etc / "own-filter").write_text("/^never/ 4.0.0\n", encoding="ascii")
        for name, text in (("main.cf", main_cf), ("master.cf", master_cf)):
            with (self.etc / name).open("a", encoding="utf-8") as file:
                file.write(text)
        if main_cf or master_cf:
            self.lab.postfix.reload()

    def state(self) -> dict[str, tuple]:
        """All files of the configuration directory: bytes, owner, mode, time."""
        return {str(path.relative_to(self.etc)): (path.read_bytes(), path.stat().st_uid, path.stat().st_gid,
                                                  path.stat().st_mode, path.stat().st_mtime_ns)
                for path in sorted(self.etc.rglob("*")) if path.is_file()}

    def values(self) -> dict[str, str]:
        """Every parameter in force."""
        printed = subprocess.run(["postconf", "-c", str(self.etc), "-x"], capture_output=True, text=True, check=True)
        values = dict(line.split(" =", 1) for line in printed.stdout.splitlines())
        del values["process_id"]
        return values

    def settings(self) -> str:
        """The table setting."""
        return self.forcetls.query("SELECT name, value FROM setting")


@pytest.fixture(name="site")
def _site(shared_lab: Lab, shared_forcetls: Forcetls):
    shared_lab.reset("stock")
    shared_forcetls.reset()
    shared_forcetls.set_policy("DELETE FROM domain_policy")
    etc = shared_lab.postfix.etc
    (etc / TABLE).unlink()
    yield Site(shared_lab, shared_forcetls)
    for path in etc.glob(f"{BACKUP}*"):
        shutil.rmtree(path)
    shutil.copy(MAIN_CF_SNIPPET.parent / TABLE, etc / TABLE)
    shared_lab.reset("stock")
    shared_forcetls.reset()


def one_line(result: subprocess.CompletedProcess, status: int) -> str:
    """The only thing that it printed."""
    assert result.returncode == status, (result.returncode, result.stdout, result.stderr)
    assert not result.stdout and len(result.stderr.strip().splitlines()) == 1, (result.stdout, result.stderr)
    assert result.stderr.startswith("forcetls setup: ")
    return result.stderr.strip()


# -- showing ---------------------------------------------------------------------------------------------------------

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
    assert (site.state(), site.settings()) == (before, settings)
    assert not (site.etc / BACKUP).exists()
    assert "nothing to undo" in site.forcetls.setup("--undo").stdout


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


# -- what is refused -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("daemon", ["policyd", "milter"])
def test_apply_is_refused_while_a_daemon_does_not_answer(site: Site, daemon: str):
    before, settings = site.state(), site.settings()
    getattr(site.forcetls, daemon).stop()
    result = site.forcetls.setup("--apply")
    assert result.returncode == EX_TEMPFAIL
    assert len(result.stderr.strip().splitlines()) == 1 and f"start forcetls-{daemon}" in result.stderr
    assert (site.state(), site.settings()) == (before, settings)
    assert not (site.etc / BACKUP).exists()


def test_apply_is_refused_where_user_postfix_may_not_connect(site: Site):
    mode = site.forcetls.sockets.stat().st_mode
    site.forcetls.sockets.chmod(0o700)
    try:
        result = site.forcetls.setup("--apply")
    finally:
        site.forcetls.sockets.chmod(mode)
    assert result.returncode == EX_TEMPFAIL and "may not connect" in result.stderr
    assert not (site.etc / BACKUP).exists()


def test_another_instance_needs_sockets_in_its_own_queue_directory(site: Site, tmp_path: Path):
    for name in ("main.cf", "master.cf"):
        shutil.copy(site.etc / name, tmp_path / name)
    queue = tmp_path / "queue"
    queue.mkdir()
    subprocess.run(["postconf", "-c", str(tmp_path), "-e", f"queue_directory={queue}"], check=True)
    result = site.forcetls.ctl("setup", "--config-dir", str(tmp_path), "--policy-db", str(site.forcetls.policy_db),
                               "--apply")
    assert result.returncode == EX_TEMPFAIL
    assert f"listen_map = unix:{queue}/forcetls/map.sock" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.cf", "master.cf", "queue"]


def test_per_site_tables_are_refused_with_what_to_do(site: Site):
    site.lab.postfix.set(smtp_tls_per_site="hash:/etc/tls_per_site")
    line = one_line(site.forcetls.setup("--apply"), EX_CONFIG)
    assert "smtp_tls_per_site" in line and "rows of domain_policy" in line


def test_wrong_use_is_one_line(site: Site, tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        return site.forcetls.ctl("setup", "--policy-db", str(site.forcetls.policy_db), *arguments)

    assert "no such file" in one_line(run("--config-dir", str(tmp_path)), EX_NOINPUT).lower()
    shutil.copy(site.etc / "master.cf", tmp_path / "master.cf")
    (tmp_path / "main.cf").write_text("this is no parameter\n", encoding="ascii")
    assert str(tmp_path) in one_line(run("--config-dir", str(tmp_path)), EX_CONFIG)
    both = run("--apply", "--undo")
    assert both.returncode == EX_USAGE and len(both.stderr.strip().splitlines()) == 1
    no_policy = site.forcetls.ctl("setup", "--config-dir", str(site.etc), "--policy-db", "/nowhere/policy.db")
    assert "/nowhere/policy.db" in one_line(no_policy, EX_NOINPUT)


def _elsewhere(site: Site, preparation: str, *arguments: str) -> subprocess.CompletedProcess:
    """Runs setup in a mount namespace of its own, after a shell command there."""
    command = [str(site.forcetls.program("forcetls")), "setup", "--config-dir", str(site.etc), "--policy-db",
               str(site.forcetls.policy_db), *arguments]
    return subprocess.run(["unshare", "-m", "sh", "-c", f'{preparation} && exec "$@"', "sh", *command],
                          capture_output=True, text=True, check=False)


def test_without_postfix_write_permission_or_root_it_says_so(site: Site):
    before = site.state()
    assert "Postfix is not installed" in one_line(_elsewhere(site, "mount -t tmpfs none /usr/sbin"), EX_NOINPUT)
    read_only = _elsewhere(site, f"mount --bind {site.etc} {site.etc} && mount -o remount,ro,bind {site.etc}", "--apply")
    assert read_only.returncode == EX_NOPERM and "Read-only file system" in read_only.stderr
    assert len(read_only.stderr.strip().splitlines()) == 1
    as_daemon = subprocess.run(
        ["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(DAEMON_USER.uid), "--clear-groups",
         str(site.forcetls.program("forcetls")), "setup", "--config-dir", str(site.etc)],
        capture_output=True, text=True, check=False)
    assert "root" in one_line(as_daemon, EX_NOPERM)
    assert site.state() == before


@pytest.mark.parametrize("refused", ["check", "reload"])
def test_a_result_that_postfix_refuses_is_put_back(site: Site, tmp_path: Path, refused: str):
    site.lab.postfix.set(smtp_tls_mandatory_ciphers="high")
    before, settings = site.state(), site.settings()
    shutil.copy("/usr/sbin/postfix", tmp_path / "real")
    fake = tmp_path / "postfix"
    fake.write_text(f'#!/bin/sh\n[ "$3" != {refused} ] || {{ echo "postfix: fatal: I refuse" >&2; exit 1; }}\n'
                    f'exec {tmp_path}/real "$@"\n', encoding="ascii")
    fake.chmod(0o755)
    result = _elsewhere(site, f"mount --bind {fake} /usr/sbin/postfix", "--apply")
    assert result.returncode != 0 and "I refuse; nothing was changed" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert (site.state(), site.settings()) == (before, settings)
    assert not (site.etc / BACKUP).exists()
    assert site.forcetls.setup("--apply").returncode == 0


@pytest.mark.parametrize("event", ["somebody saves main.cf", "main.cf cannot be written any more"])
def test_what_cannot_be_put_back_stays_in_the_backup(site: Site, tmp_path: Path, event: str):
    before = (site.etc / "main.cf").read_bytes()
    draft = site.etc / "main.cf.forcetls-new"
    action = f"echo '# saved' >> {site.etc}/main.cf" if "saves" in event else f"mkdir {draft}"
    fake = tmp_path / "postfix"
    fake.write_text(f'#!/bin/sh\n[ "$3" != check ] || {{ {action}; echo "postfix: fatal: I refuse" >&2; exit 1; }}\n',
                    encoding="ascii")
    fake.chmod(0o755)
    result = _elsewhere(site, f"mount --bind {fake} /usr/sbin/postfix", "--apply")
    assert result.returncode != 0 and "nothing was changed" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1 and str(site.etc / BACKUP) in result.stderr
    assert (site.etc / BACKUP / "main.cf").read_bytes() == before
    if draft.exists():
        draft.rmdir()
        assert site.forcetls.setup("--undo").returncode == 0
        assert (site.etc / "main.cf").read_bytes() == before


# -- what is broken off ----------------------------------------------------------------------------------------------

def _apply_and_kill(site: Site, moment) -> None:
    """Starts --apply and kills it as soon as `moment` is true (or lets it end, if that is sooner)."""
    command = [str(site.forcetls.program("forcetls")), "setup", "--config-dir", str(site.etc), "--policy-db",
               str(site.forcetls.policy_db), "--apply"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not moment():
            pass
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("way_out", ["--undo", "--apply"])
@pytest.mark.parametrize("moment", ["backup begun", "manifest there", "main.cf replaced", "master.cf replaced"])
def test_killed_at_any_moment_it_can_be_undone_and_finished(site: Site, moment: str, way_out: str):
    site.append(*SITES["comments, continuation lines and $names"])
    before = site.state()
    inodes = {name: (site.etc / name).stat().st_ino for name in ("main.cf", "master.cf")}
    moments = {
        "backup begun": (site.etc / BACKUP).exists, "manifest there": (site.etc / BACKUP / "manifest.json").exists,
        **{f"{name} replaced": lambda name=name: (site.etc / name).stat().st_ino != inodes[name] for name in inodes}}
    _apply_and_kill(site, moments[moment])
    killed = site.state()
    for name in inodes:
        assert killed[name][0] in (before[name][0], *(killed.get(f"{BACKUP}/{name}.{n}", (b"?",))[0] for n in (1, 2)))
    if way_out == "--apply":
        assert site.forcetls.setup("--apply").returncode == 0
        assert "nothing to change" in site.forcetls.setup().stdout
    assert site.forcetls.setup("--undo").returncode == 0
    left = {name: what for name, what in site.state().items() if BACKUP not in name}
    assert left == before


# -- what goes with it -----------------------------------------------------------------------------------------------

def test_what_main_cf_demands_is_a_floor_of_every_answer(site: Site):
    site.forcetls.add_row("floor.example", "verify")
    site.lab.postfix.set(smtp_tls_mandatory_exclude_ciphers="RC4, 3DES", smtp_tls_exclude_ciphers="MD5",
                         smtp_tls_mandatory_protocols=">=TLSv1.3", smtp_tls_mandatory_ciphers="high")
    assert site.forcetls.setup("--apply").returncode == 0
    site.forcetls.wait_for_answer(
        "tls", "floor.example",
        "OK verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2 ciphers=high exclude=MD5:RC4:3DES")
    assert site.forcetls.setup("--undo").returncode == 0
    site.forcetls.wait_for_answer("tls", "floor.example", "OK verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ")


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
    assert "own_domains|ours.example localhost virtual.example\n" in settings
    assert "enforcing_transports|smtp relay forcetls esmtp tls-only\n" in settings
    assert site.forcetls.setup("--undo").returncode == 0
    site.forcetls.set_policy("UPDATE setting SET value = 'mine.example' WHERE name = 'own_domains'")
    assert site.forcetls.setup("--apply").returncode == 0
    assert "own_domains|mine.example\n" in site.settings()


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
        proposal = re.search(r'sqlite3 \S+ "(INSERT INTO domain_policy[^"]*' + re.escape(f"'{key}'") + r'[^"]*)"', shown)
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
        wait_for(turns_away, 10, "setup to be turned away")
    finally:
        holder.communicate("go on\n")
