"""What `forcetls setup` refuses, puts back, or takes up again after it was broken off."""

import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab.host_files import DAEMON_USER
from lab.waiting import wait_for
from setup_site import (BACKUP, CHANGES, EX_CONFIG, EX_NOINPUT, EX_NOPERM, EX_TEMPFAIL, EX_USAGE, SITES, Site, one_line,
                        site_fixture)  # noqa: F401


@pytest.mark.parametrize("daemon", ["policyd", "milter"])
def test_apply_is_refused_while_a_daemon_does_not_answer(site: Site, daemon: str):
    before, settings = site.state(), site.settings()
    getattr(site.forcetls, daemon).stop()
    result = site.forcetls.setup("--apply")
    assert result.returncode == EX_TEMPFAIL
    assert len(result.stderr.strip().splitlines()) == 1 and f"start forcetls-{daemon}" in result.stderr
    assert (site.state(), site.settings()) == (before, settings)
    assert not (site.etc / BACKUP).exists()


def test_apply_is_refused_while_the_milter_connects_and_does_not_answer(site: Site):
    before, settings = site.state(), site.settings()
    site.forcetls.milter.signal(signal.SIGSTOP)
    try:
        result = site.forcetls.setup("--apply")
    finally:
        site.forcetls.milter.signal(signal.SIGCONT)
    assert result.returncode == EX_TEMPFAIL
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "forcetls-milter does not answer on" in result.stderr
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
    for broken in ("this is no parameter\n", "relayhost = $relayhost\n"):
        (tmp_path / "main.cf").write_text(broken, encoding="ascii")
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
    mount = f"mount --bind {site.etc} {site.etc} && mount -o remount,ro,bind {site.etc}"
    read_only = _elsewhere(site, mount, "--apply")
    assert read_only.returncode == EX_NOPERM and "Read-only file system" in read_only.stderr
    assert len(read_only.stderr.strip().splitlines()) == 1
    as_daemon = subprocess.run(
        ["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(DAEMON_USER.uid), "--clear-groups",
         str(site.forcetls.program("forcetls")), "setup", "--config-dir", str(site.etc)],
        capture_output=True, text=True, check=False)
    assert "root" in one_line(as_daemon, EX_NOPERM)
    assert site.state() == before


def _refusing(directory: Path, what: str) -> Path:
    """A postfix(1) that refuses one of its commands."""
    shutil.copy("/usr/sbin/postfix", directory / "real")
    fake = directory / "postfix"
    fake.write_text(f'#!/bin/sh\n[ "$3" != {what} ] || {{ echo "postfix: fatal: I refuse" >&2; exit 1; }}\n'
                    f'exec {directory}/real "$@"\n', encoding="ascii")
    fake.chmod(0o755)
    return fake


@pytest.mark.parametrize("refused", ["check", "reload"])
def test_a_result_that_postfix_refuses_is_put_back(site: Site, tmp_path: Path, refused: str):
    site.lab.postfix.set(smtp_tls_mandatory_ciphers="high")
    before, settings = site.state(), site.settings()
    fake = _refusing(tmp_path, refused)
    result = _elsewhere(site, f"mount --bind {fake} /usr/sbin/postfix", "--apply")
    assert result.returncode != 0 and "I refuse; nothing was changed" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert (site.state(), site.settings()) == (before, settings)
    assert not (site.etc / BACKUP).exists()
    assert site.forcetls.setup("--apply").returncode == 0


def test_after_a_failure_what_setup_had_made_before_is_as_it_was(site: Site, tmp_path: Path):
    """Also its copy of a trust anchor, and the backup of before main.cf was changed by hand."""
    anchor = tmp_path / "anchor.pem"
    anchor.write_bytes(b"the first\n")
    inside = Path(f"{site.lab.postfix.queue_directory}{anchor}")
    site.forcetls.add_row("anchor.example", "secure", tafile=str(anchor), match=".anchor.example")
    assert site.forcetls.setup("--apply").returncode == 0
    site.lab.postfix.set(smtp_connection_cache_on_demand="yes", smtp_tls_mandatory_ciphers="high")
    anchor.write_bytes(b"the second\n")
    before, settings = site.state(), site.settings()
    fake = _refusing(tmp_path, "check")
    result = _elsewhere(site, f"mount --bind {fake} /usr/sbin/postfix", "--apply")
    assert result.returncode != 0 and "I refuse; nothing was changed" in result.stderr
    assert inside.read_bytes() == b"the first\n"
    assert (site.state(), site.settings()) == (before, settings)
    assert site.forcetls.setup("--apply").returncode == 0
    assert inside.read_bytes() == b"the second\n"


def test_a_main_cf_of_another_directory_is_refused(site: Site, tmp_path: Path):
    for name in ("main.cf", "master.cf"):
        shutil.copy(site.etc / name, tmp_path / name)
    config = ["setup", "--policy-db", str(site.forcetls.policy_db), "--config-dir", str(tmp_path)]
    with (tmp_path / "main.cf").open("a", encoding="utf-8") as file:
        file.write(f"config_directory = {site.etc}\n")
    line = one_line(site.forcetls.ctl(*config, "--apply"), EX_CONFIG)
    assert f"{tmp_path}/main.cf says config_directory = {site.etc}" in line
    assert not (tmp_path / BACKUP).exists()
    site.forcetls.run_as_administrator(line[line.index("(postconf ") + 1:line.index("),")])
    assert site.forcetls.ctl(*config).returncode == CHANGES


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


def _has_open(pid: int, path: Path) -> bool:
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if file.samefile(path):
                return True
        except OSError:  # closed by now
            pass
    return False


def test_it_waits_a_moment_for_a_turn_that_ends(site: Site):
    """A child that a killed setup was about to start holds on to the turn until it is started."""
    command = [str(site.forcetls.program("forcetls")), "setup", "--config-dir", str(site.etc), "--policy-db",
               str(site.forcetls.policy_db)]
    turn = os.open(site.etc, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_for(lambda: process.poll() is not None or _has_open(process.pid, site.etc), 10,
                     "setup to want the turn")
            fcntl.flock(turn, fcntl.LOCK_UN)
            assert (process.communicate()[1], process.returncode) == ("", 1)  # 1: it has something to change
    finally:
        os.close(turn)
