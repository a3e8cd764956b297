"""The administrator's command: `forcetls init` and `forcetls check`, in words, in JSON and by exit status."""

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from lab.host_files import DAEMON_USER
from lab.protocol import SocketmapClient
from lab.solo import Place

NOT_FORCED, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_OSERR, EX_IOERR, EX_TEMPFAIL, EX_CONFIG = 1, 64, 65, 66, 71, 74, 75, 78
ROWS = """
INSERT INTO domain_policy(domain, outbound, inbound, on_failure) VALUES ('bank.example', 'secure', 'encrypt', 'reject');
INSERT INTO domain_policy(domain, outbound, match) VALUES ('.bank.example', 'verify', 'mx.bank.example');
INSERT INTO domain_policy(domain, outbound) VALUES ('[relay.example]:587', 'verify'), ('plain.example', 'may'),
  ('[192.0.2.1]', 'encrypt'), ('dane.example', 'dane'), ('only.example', 'dane-only'), ('bare.example:26', 'encrypt'),
  ('[ipv6:2001:db8::1]', 'encrypt'), ('xn--bnk-qla.example', 'secure'), ('local.example', 'none');
INSERT INTO domain_policy(domain, outbound, mode) VALUES ('test.example', 'secure', 'test'),
  ('off.example', 'secure', 'off'), ('held.example', 'secure', 'enforce');
INSERT INTO suspension(domain, level, ends_at, reason)
  VALUES ('held.example', 'encrypt', datetime('now', '+1 hours'), 'a test');
"""
ASKED = ["bank.example", "BANK.EXAMPLE", "bank.example.", "a.bank.example", "a.b.bank.example", "[relay.example]:587",
         "[relay.example]", "relay.example", "[RELAY.example]:587", "plain.example", "[192.0.2.1]", "[192.0.2.2]",
         "dane.example", "only.example", "bare.example:26", "bare.example", "[ipv6:2001:db8::1]", "[IPv6:2001:DB8::1]",
         "bänk.example", "BÄNK.example", "bänk。example", "xn--bnk-qla.example", "test.example", "off.example",
         "held.example", "local.example", "other.example", "localhost", "[127.0.0.1]:10025", "a-b_c.example",
         "r3---sn-x.example", "xn--zz--zz.example", "/some/path", "private/dovecot-lmtp", "example", "."]


@pytest.fixture(scope="module", name="place")
def _place():
    place = Place()
    place.init(ROWS)
    yield place
    place.close()


def _check(place: Place, *arguments: str) -> subprocess.CompletedProcess:
    return place.run("forcetls", "check", *arguments, "--policy-db", str(place.policy_db))


def _json(place: Place, asked: str) -> dict:
    result = _check(place, "--json", asked)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


# -- init ------------------------------------------------------------------------------------------------------------

def _init(place: Place, path: Path) -> subprocess.CompletedProcess:
    return place.run("forcetls", "init", "--policy-db", str(path))


def test_init_makes_an_empty_policy_that_only_owner_writes_and_group_reads(place: Place, tmp_path: Path):
    result = _init(place, tmp_path / "new.db")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path}/new.db: created (schema 2)\n")
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["new.db"]


def test_init_again_changes_nothing(place: Place):
    before = place.policy_db.read_bytes()
    result = _init(place, place.policy_db)
    assert result.returncode == 0 and "is up to date" in result.stdout
    assert place.policy_db.read_bytes() == before


def test_init_existing_makes_no_policy_where_there_is_none(place: Place, tmp_path: Path):
    (tmp_path / "conf").write_text(f"policy_db = {tmp_path}/lost.db \r\n", "ascii")
    result = place.run("forcetls", "init", "--existing", "--config", str(tmp_path / "conf"))
    assert result.returncode == EX_NOINPUT
    assert result.stderr.startswith(f"forcetls init: {tmp_path}/lost.db: is not there: restore it")
    assert not (tmp_path / "lost.db").exists()
    _init(place, tmp_path / "lost.db")
    assert "is up to date" in place.run("forcetls", "init", "--existing", "--config", str(tmp_path / "conf")).stdout


def _dump(path: Path) -> str:
    return subprocess.run(["sqlite3", str(path), ".dump"], capture_output=True, text=True, check=True).stdout


def test_init_takes_a_database_of_the_first_schema_along_and_keeps_a_copy(place: Place, tmp_path: Path):
    path = tmp_path / "old.db"
    schema = Path(__file__).resolve().parents[2] / "schema" / "policy"
    first = "".join(file.read_text("utf-8") for file in sorted(schema.glob("001_*.sql")))
    row = "INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')"
    subprocess.run(["sqlite3", str(path)], input=f"{first}{row};", text=True, check=True)
    refused = place.run("forcetls", "check", "bank.example", "--policy-db", str(path))
    assert refused.returncode == EX_CONFIG and "run forcetls init" in refused.stderr
    before = _dump(path)
    result = _init(place, path)
    assert result.returncode == 0, result.stderr
    copy = next(tmp_path.glob("old.db.backup-v1-*"))
    assert result.stdout == f"{path}: migrated from schema 1 to 2; as it was before: {copy}\n"
    assert _dump(copy) == before != _dump(path)
    assert "secure" in place.run("forcetls", "check", "bank.example", "--policy-db", str(path)).stdout


def _newer(path: Path, place: Place) -> None:
    shutil.copy(place.policy_db, path)
    subprocess.run(["sqlite3", str(path), "PRAGMA user_version = 99"], check=True)


def _foreign(path: Path, place: Place) -> None:
    del place
    subprocess.run(["sqlite3", str(path), "CREATE TABLE precious (x)"], check=True)


@pytest.mark.parametrize(("make", "status", "sentence"), [
    (lambda path, _: path.write_bytes(b""), EX_CONFIG, "is empty"),
    (lambda path, _: path.write_bytes(b"some text, no database\n" * 50), EX_CONFIG, "is not a database"),
    (_foreign, EX_CONFIG, "no policy database of forcetls"),
    (_newer, EX_CONFIG, "upgrade forcetls"),
    (lambda path, _: path.mkdir(), EX_CONFIG, "no regular file"),
], ids=["empty", "text", "foreign", "newer", "directory"])
def test_init_leaves_a_file_that_is_not_ours_alone(place: Place, tmp_path: Path, make, status: int, sentence: str):
    path = tmp_path / "there.db"
    make(path, place)
    before = path.read_bytes() if path.is_file() else None
    for result in (_init(place, path), place.run("forcetls", "check", "x.example", "--policy-db", str(path))):
        assert result.returncode == status, result.stderr
        assert len(result.stderr.strip().splitlines()) == 1 and not result.stdout
    assert sentence in _init(place, path).stderr
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [file.name for file in tmp_path.iterdir()] == ["there.db"]


def test_init_where_the_directory_is_missing_or_closed_says_so(place: Place):
    missing = _init(place, place.directory / "missing" / "policy.db")
    assert missing.returncode == EX_NOINPUT and "/missing: No such file or directory" in missing.stderr
    closed = subprocess.run(
        ["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(DAEMON_USER.uid), "--clear-groups",
         str(place.program("forcetls")), "init", "--policy-db", str(place.policy_db.parent / "mine.db")],
        capture_output=True, text=True, check=False)
    assert closed.returncode == EX_OSERR and "Permission denied" in closed.stderr
    assert [file.name for file in place.policy_db.parent.iterdir()] == ["policy.db"]


# -- check -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("asked", "expected"), [
    ("someone@Bank.Example", {"key": "bank.example", "row": "bank.example", "level": "secure", "forced": True,
                              "map": "tls", "inbound": "encrypt", "on_failure": "reject"}),
    ("a.b.bank.example", {"row": ".bank.example", "level": "verify", "forced": True}),
    ("bänk.example", {"key": "xn--bnk-qla.example", "row": "xn--bnk-qla.example", "forced": True}),
    ("[relay.example]:587", {"row": "[relay.example]:587", "level": "verify", "forced": True}),
    ("[relay.example]", {"row": None, "level": None, "forced": False, "map": None, "postfix": None}),
    ("held.example", {"outbound": "secure", "suspended_to": "encrypt", "level": "encrypt", "forced": True}),
    ("test.example", {"row": None, "test_row": "test.example", "test_outbound": "secure", "forced": False}),
    ("off.example", {"row": None, "test_row": None, "forced": False}),
    ("dane.example", {"row": "dane.example", "level": "dane", "forced": False, "postfix": "dane"}),
    ("other.example", {"row": None, "level": None, "forced": False, "inbound": "may"}),
])
def test_check_tells_which_row_decides(place: Place, asked: str, expected: dict):
    told = _json(place, asked)
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize(("asked", "words"), [
    ("bank.example", ["row            bank.example (outbound = secure)", "Postfix gets   secure match=", "or waits"]),
    ("held.example", ["suspended to encrypt"]),
    ("test.example", ["in test", "does not count yet", "is not forced"]),
    ("other.example", ["row            none", "no answer: a table of your own, else smtp_tls_security_level"]),
])
def test_check_says_it_in_words(place: Place, asked: str, words: list[str]):
    result = _check(place, asked)
    assert result.returncode == 0 and not result.stderr
    assert all(word in result.stdout for word in words), result.stdout


@pytest.mark.parametrize("settings", [{}, {"default_outbound": "encrypt", "unlisted_relay": "encrypt"}])
def test_check_says_what_the_socketmaps_answer(place: Place, settings: dict[str, str]):
    for name, value in settings.items():
        assert place.sql(f"UPDATE setting SET value = '{value}' WHERE name = '{name}'")[0] == 0
    daemon = place.policyd()
    differing = []
    with SocketmapClient(place.address("map.sock")) as client:
        for asked in ASKED:
            result = _check(place, "--json", asked)
            answers = {name: client.lookup(name, asked) for name in ("tls", "default")}
            if result.returncode != 0:
                expected = {"tls": "TEMP", "default": "TEMP"}
                answers = {name: answer.split(" ")[0] for name, answer in answers.items()}
            else:
                told = json.loads(result.stdout)
                by_map = f"OK {told['postfix']}"
                expected = {"tls": by_map if told["map"] == "tls" else "NOTFOUND ",
                            "default": by_map if told["map"] else "NOTFOUND "}
            if answers != expected:
                differing.append((asked, answers, expected, result.returncode))
    daemon.stop()
    for name in settings:
        place.sql(f"UPDATE setting SET value = 'unset' WHERE name = '{name}'")
    assert not differing


def test_check_of_an_address_is_check_of_its_domain(place: Place):
    for domain in (asked for asked in ASKED if "/" not in asked and asked != "."):
        of_domain, of_address = (_check(place, "--json", asked) for asked in (domain, f"someone@{domain}"))
        assert of_domain.returncode == of_address.returncode, domain
        if of_domain.returncode == 0:
            told = [json.loads(result.stdout) for result in (of_domain, of_address)]
            assert {**told[0], "asked": ""} == {**told[1], "asked": ""}


@pytest.mark.parametrize(("asked", "status"), [
    ("bank.example", 0), ("u@a.bank.example", 0), ("held.example", 0), ("only.example", 0),
    ("plain.example", NOT_FORCED),
    ("dane.example", NOT_FORCED), ("test.example", NOT_FORCED), ("off.example", NOT_FORCED), ("x.example", NOT_FORCED),
])
def test_check_forced_tells_by_its_status(place: Place, asked: str, status: int):
    assert _check(place, "--forced", asked).returncode == status


def test_what_cannot_be_printed_is_no_success(place: Place):
    for asked in ("bank.example", f"u@{'a.' * 5000}example"):  # the second is more than stdio keeps
        command = [str(place.program("forcetls")), "check", asked, "--policy-db", str(place.policy_db)]
        with Path("/dev/full").open("wb") as full:
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == EX_IOERR and result.stderr == "forcetls: standard output cannot be written\n"


@pytest.mark.parametrize(("arguments", "status"), [
    ([], EX_USAGE), (["check"], EX_USAGE), (["check", "a.example", "b.example"], EX_USAGE), (["chek", "x"], EX_USAGE),
    (["check", "--jsn", "a.example"], EX_USAGE), (["init", "x"], EX_USAGE), (["init", "--policy-db"], EX_USAGE),
    (["check", "u@"], EX_DATAERR), (["check", ""], EX_TEMPFAIL), (["check", "[a"], EX_TEMPFAIL),
    (["check", "bank.example "], EX_DATAERR), (["check", "u@bank example"], EX_DATAERR),
    (["check", "bank.example\t"], EX_DATAERR),
    (["check", "a.example", "--policy-db", "/nowhere/policy.db"], EX_NOINPUT),
])
def test_wrong_use_is_one_clear_line_and_a_status(place: Place, arguments: list[str], status: int):
    database = [] if "--policy-db" in arguments or status == EX_USAGE else ["--policy-db", str(place.policy_db)]
    result = place.run("forcetls", *arguments, *database)
    assert result.returncode == status, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1 and result.stderr.startswith("forcetls")
    assert not result.stdout


def test_check_works_for_whoever_may_read_and_leaves_no_trace(place: Place):
    before = [(file.name, file.stat().st_mtime_ns) for file in place.policy_db.parent.iterdir()]
    result = subprocess.run(
        ["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(DAEMON_USER.uid), "--clear-groups",
         str(place.program("forcetls")), "check", "bank.example", "--policy-db", str(place.policy_db)],
        capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert [(file.name, file.stat().st_mtime_ns) for file in place.policy_db.parent.iterdir()] == before


def test_check_works_while_a_writer_holds_the_database(place: Place):
    writer = subprocess.Popen(["sqlite3", str(place.policy_db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)
    writer.stdin.write("BEGIN EXCLUSIVE;\nDELETE FROM domain_policy;\nSELECT 'held';\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == "held\n"
    result = _check(place, "--json", "bank.example")
    writer.kill()
    writer.communicate()
    assert result.returncode in (0, EX_TEMPFAIL), result.stderr
    if result.returncode == 0:
        assert json.loads(result.stdout)["row"] == "bank.example"
    assert _json(place, "bank.example")["row"] == "bank.example"
