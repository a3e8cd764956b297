"""A site for the tests of `forcetls setup`: the lab's Postfix without our lines, and files as sites have them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.forcetls import MAIN_CF_SNIPPET, Forcetls
from lab.lab import Lab

CHANGES, EX_USAGE, EX_NOINPUT, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 1, 64, 66, 75, 77, 78
TABLE = "forcetls-delivery-status"
BACKUP = "forcetls-setup"
# Settings that --undo leaves, since another instance may use the same policy.
SHARED = ("own_domains", "enforcing_transports")

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

    def settings(self) -> dict[str, str]:
        """The table setting."""
        lines = self.forcetls.query("SELECT name, value FROM setting").splitlines()
        return dict(line.split("|", 1) for line in lines)

    def answers(self, map_name: str, key: str, answer: str) -> bool:
        """Waits until policyd answers exactly that."""
        return self.forcetls.wait_for_answer(map_name, key, answer) == answer


def _remove_backups(etc: Path) -> None:
    for path in etc.glob(f"{BACKUP}*"):
        shutil.rmtree(path)


@pytest.fixture(name="site")
def site_fixture(shared_lab: Lab, shared_forcetls: Forcetls):
    shared_lab.reset("stock")
    shared_forcetls.reset()
    shared_forcetls.set_policy("DELETE FROM domain_policy")
    etc = shared_lab.postfix.etc
    (etc / TABLE).unlink()
    _remove_backups(etc)  # of tests that apply it for another reason
    yield Site(shared_lab, shared_forcetls)
    _remove_backups(etc)
    shutil.copy(MAIN_CF_SNIPPET.parent / TABLE, etc / TABLE)
    shared_lab.reset("stock")
    shared_forcetls.reset()


def one_line(result: subprocess.CompletedProcess, status: int) -> str:
    """The only thing that it printed."""
    assert result.returncode == status, (result.returncode, result.stdout, result.stderr)
    assert not result.stdout and len(result.stderr.strip().splitlines()) == 1, (result.stdout, result.stderr)
    assert result.stderr.startswith("forcetls setup: ")
    return result.stderr.strip()
