"""forcetls doctor on a real Postfix: what it finds, that its commands close it, and how it says that it cannot look."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from doctor_site import LEAK, NOT_EXAMINED, NOTHING, WARNING, _bolted, ids, run_fix  # noqa: F401 (a fixture)
from lab.forcetls import REPOSITORY, Forcetls
from lab.host_files import DAEMON_USER
from lab.lab import Lab
from lab.network import DNS_ADDRESS, MAIL_HOST
from lab.waiting import wait_for

EX_USAGE = 64
MOST_FIXES = 40

# What Debian's configuration lacks, with nothing of ours in it.
STOCK_LEAKS = {"policy-map-missing", "connection-cache", "session-cache", "bounce-bodies"}
STOCK_WARNINGS = {"policy-service-missing", "milter-missing", "silent-deferral", "starttls-5xx"}


@pytest.fixture(name="stock")
def _stock(lab: Lab, shared_forcetls: Forcetls):
    """The lab's Postfix without our lines, the daemons running, one row."""
    del lab
    shared_forcetls.reset()
    shared_forcetls.set_policy("DELETE FROM domain_policy")
    shared_forcetls.set_policy("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')")
    return shared_forcetls


def test_a_stock_postfix_has_leaks(stock: Forcetls):
    status, findings = stock.doctor()
    assert status == LEAK
    assert STOCK_LEAKS <= ids(findings, "leak"), findings
    assert STOCK_WARNINGS <= ids(findings, "warning"), findings
    parts = ("id", "severity", "certainty", "where", "what", "fix")
    assert all(finding[part] for finding in findings for part in parts)


def test_with_our_lines_nothing_is_left_but_notes(bolted: Forcetls):
    status, findings = bolted.doctor()
    assert (status, ids(findings, "leak", "warning")) == (NOTHING, set()), findings


def test_after_setup_nothing_is_left_but_notes(lab: Lab, stock: Forcetls):
    applied = stock.setup("--apply")
    assert applied.returncode == 0, applied.stderr
    status, findings = stock.doctor()
    assert (status, ids(findings, "leak", "warning")) == (NOTHING, set()), findings
    undone = stock.setup("--undo")
    assert undone.returncode == 0, undone.stderr
    assert lab.postfix.get("smtp_tls_policy_maps") == "" and stock.doctor()[0] == LEAK


def test_every_finding_has_a_section_in_the_manual():
    sources = "".join(file.read_text("utf-8") for file in (REPOSITORY / "shared" / "mta").glob("doctor*.*"))
    manual = (REPOSITORY / "packaging" / "man" / "forcetls-doctor.8").read_text("utf-8").replace("\\-", "-")
    sections = set(re.findall(r"^\.SS (\S+)$", manual, re.MULTILINE))
    assert len(sections) > 40
    found = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', sources)) - {"loopback-only", "forcetls-milter",
                                                                      "forcetls-policyd", "trivial-rewrite"}
    assert found == sections


def test_a_route_to_another_program_on_this_host_is_a_warning_until_somebody_has_looked(lab: Lab, bolted: Forcetls):
    partner = lab.partners.add("clear")
    bolted.add_row(partner.domain, "encrypt")
    second = lab.start_second_instance(10325, "postfix-out")
    lab.postfix.set(relayhost="[127.0.0.1]:10325")
    lab.postfix.reload()
    submission = lab.send(f"user@{partner.domain}")
    wait_for(lambda: any(submission.token in message.data for message in list(partner.server.messages)),
             60, "the message by way of the second instance")
    _, findings = bolted.doctor()
    second.stop()
    assert "loopback-route" in ids(findings, "warning"), findings
    assert "[127.0.0.1]:10325, which must enforce by itself" in bolted.setup().stdout
    bolted.add_row("[127.0.0.1]:10325", "none")
    status, findings = bolted.doctor()
    assert "loopback-route" in ids(findings, "note") and status == 0, findings


def test_running_the_fixes_one_after_the_other_leaves_nothing(lab: Lab, stock: Forcetls):
    lab.postfix.set(relayhost="[relay.example]:587", smtp_fallback_relay="[fallback.example]",
                    always_bcc="archive@archive.example", content_filter="smtp:[filter.example]:10025",
                    smtpd_proxy_filter="192.0.2.7:10024", lmtp_tls_session_cache_database="btree:${data_directory}/l",
                    smtp_tls_fingerprint_digest="md5", smtp_tls_loglevel="0",
                    smtpd_recipient_restrictions="permit_mynetworks, reject_unauth_destination")
    lab.postfix.set_service("submission inet n - y - - smtpd -o smtpd_recipient_restrictions=permit_sasl_authenticated,"
                            "reject -o smtpd_milters=inet:192.0.2.8:11332 -o receive_override_options=no_milters")
    lab.postfix.set_service("clone unix - - y - - smtp -o smtp_tls_policy_maps= -o smtp_fallback_relay=[other.example]"
                            " -o smtp_connection_cache_on_demand=yes -o smtp_tls_session_cache_database=btree:/x")
    lab.postfix.reload()
    for _ in range(MOST_FIXES):
        status, findings = stock.doctor()
        if status == NOTHING:
            break
        run_fix(lab, findings[0]["fix"])
    assert status == NOTHING, findings
    lab.reset("stock")
    stock.set_policy("DELETE FROM domain_policy")


@pytest.mark.parametrize(("parameters", "expected"), [
    ({"relayhost": "[relay.example]:587"}, ("route-next-hop", "main.cf: relayhost")),
    ({"relayhost": "relay.example"}, ("route-next-hop", "main.cf: relayhost")),
    ({"transport_maps": "inline:{{bank.example=smtp:[gate.example]}}"}, ("route-next-hop", "main.cf: transport_maps")),
    ({"transport_maps": "inline:{{u@bank.example=smtp:[gate.example]}}"},
     ("route-next-hop", "main.cf: transport_maps: inline:{{u@bank.example=smtp:[gate.example]}}: u@bank.example")),
    ({"transport_maps": "inline:{{bank.example=lmtp:inet:gate.example:24}}"}, ("lmtp-elsewhere",
                                                                              "main.cf: transport_maps")),
    ({"sender_dependent_relayhost_maps": "inline:{{@ours.example=[gate.example]}}"},
     ("sender-route", "main.cf: sender_dependent_relayhost_maps: inline:{{@ours.example=[gate.example]}}")),
    ({"smtp_fallback_relay": "[relay.example]"}, ("fallback-relay", "main.cf: smtp_fallback_relay")),
    ({"smtpd_milters": "$non_smtpd_milters, inet:192.0.2.8:11332"}, ("milter-elsewhere", "main.cf: smtpd_milters")),
    ({"smtp_tls_policy_maps": "inline:{{bank.example=may}}, socketmap:unix:forcetls/map.sock:tls"},
     ("policy-map-not-first", "main.cf: smtp_tls_policy_maps")),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else value[0])
def test_a_way_around_is_found_and_its_command_closes_it(lab: Lab, bolted: Forcetls, parameters: dict[str, str],
                                                         expected: tuple[str, str]):
    lab.postfix.set(**parameters)
    lab.postfix.reload(smtpd_answers=False)
    status, findings = bolted.doctor()
    assert status == LEAK
    leaks = [finding for finding in findings if finding["severity"] == "leak"]
    assert [(finding["id"], finding["where"]) for finding in leaks] == [expected], findings
    run_fix(lab, leaks[0]["fix"])
    status, findings = bolted.doctor()
    assert (status, ids(findings, "leak", "warning")) == (NOTHING, set()), findings


def test_a_queued_message_that_remembers_a_filter_is_found(lab: Lab, bolted: Forcetls):
    lab.postfix.set(content_filter="smtp:[filter.example]:10025", defer_transports="smtp")
    lab.postfix.reload()
    submission = lab.send("u@bank.example")
    lab.outcome(submission)
    lab.postfix.set(content_filter="")
    lab.postfix.reload()
    _, findings = bolted.doctor()
    found = [finding for finding in findings if finding["id"] == "queued-filter"]
    assert [finding["where"] for finding in found] == [f"queue: {submission.queue_id}"], findings
    run_fix(lab, found[0]["fix"])
    lab.postfix.log.wait_for_line(rf"postsuper\[\d+\]: {submission.queue_id}: requeued", 0)


def test_a_transport_table_that_does_not_answer_is_told(lab: Lab, bolted: Forcetls):
    lab.postfix.set(transport_maps="socketmap:inet:127.0.0.1:9:nobody")
    lab.postfix.reload()
    status, findings = bolted.doctor()
    assert status == WARNING and ids(findings, "leak", "warning") == {"route-next-hop"}, findings


def test_filters_in_tables_of_actions_are_found(lab: Lab, bolted: Forcetls):
    checks = lab.postfix.etc / "checks"
    checks.write_text("/^subject: .*slow/\n  FILTER smtp:[filter.example]:10025\n", encoding="ascii")
    lab.postfix.set(header_checks=f"regexp:{checks}",
                    smtpd_client_restrictions="check_client_access inline:{{10.0.0.1=FILTER smtp:[other.example]}}")
    lab.postfix.reload()
    status, findings = bolted.doctor()
    checks.unlink()
    assert status == LEAK
    assert {finding["where"] for finding in findings if finding["id"] == "content-filter"} == {
        f"main.cf: header_checks: regexp:{checks}",
        "main.cf: smtpd_client_restrictions: inline:{{10.0.0.1=FILTER smtp:[other.example]}}"}, findings


def test_an_own_domain_in_a_file_or_table_is_found_and_the_command_closes_it(lab: Lab, bolted: Forcetls):
    names = lab.postfix.etc / "own"
    names.write_text("# our domains\nother.example bank.example\n", encoding="ascii")
    for parameters in ({"mydestination": f"localhost, {names}"}, {"relay_domains": f"regexp:{names}-patterns"}):
        Path(f"{names}-patterns").write_text("/^bank\\.example$/ OK\n", encoding="ascii")
        before = {name: lab.postfix.get(name) for name in parameters}
        lab.postfix.set(**parameters)
        lab.postfix.reload()
        status, findings = bolted.doctor()
        assert (status, ids(findings, "leak", "warning")) == (WARNING, {"own-domains"}), findings
        run_fix(lab, findings[0]["fix"])
        assert bolted.doctor()[0] == NOTHING
        lab.postfix.set(**before)
        bolted.set_policy("UPDATE setting SET value = '' WHERE name = 'own_domains'")


def test_a_table_that_cannot_be_listed_is_noted(lab: Lab, bolted: Forcetls):
    routes = lab.postfix.etc / "routes"
    routes.write_text("/^user@/ smtp:[gate.example]\n", encoding="ascii")
    lab.postfix.set(transport_maps=f"regexp:{routes}",
                    smtpd_client_restrictions=f"check_client_access regexp:{lab.postfix.etc}/missing")
    lab.postfix.reload(smtpd_answers=False)
    status, findings = bolted.doctor()
    noted = [finding for finding in findings if finding["id"] == "table-not-examined"]
    assert status == NOTHING
    assert {finding["where"] for finding in noted} == {
        f"main.cf: transport_maps: regexp:{routes}",
        f"main.cf: smtpd_client_restrictions: regexp:{lab.postfix.etc}/missing"}, findings
    command = noted[0]["fix"] if "transport" in noted[0]["where"] else noted[1]["fix"]
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout == \
        "smtp:[gate.example]\n"


def test_a_command_for_a_list_with_blanks_closes_what_it_says(lab: Lab, bolted: Forcetls):
    ours = "{ unix:forcetls/milter.sock, default_action=tempfail }"
    lab.postfix.set_service("587 inet n - y - - smtpd -o smtpd_tls_security_level=encrypt "
                            f"-o {{ smtpd_milters = {ours}, {{ inet:192.0.2.8:1, connect_timeout=1s }} }}")
    lab.postfix.reload()
    status, findings = bolted.doctor()
    assert status == LEAK and findings[0]["id"] == "milter-elsewhere", findings
    run_fix(lab, findings[0]["fix"])
    status, findings = bolted.doctor()
    assert status == NOTHING, findings


def test_a_relative_directory_is_the_same_instance(lab: Lab, bolted: Forcetls):
    result = subprocess.run([str(bolted.program("forcetls")), "doctor", "--json", "--policy-db", str(bolted.policy_db),
                             "--config-dir", "."], cwd=lab.postfix.etc, capture_output=True, text=True, check=False)
    assert result.returncode == NOTHING, result.stdout + result.stderr
    assert json.loads(result.stdout)["config_directory"] == str(lab.postfix.etc)


def test_a_main_cf_that_names_another_directory_is_examined_where_postfix_reads_it(lab: Lab, bolted: Forcetls):
    lab.postfix.set(config_directory="/nowhere")
    command = [str(bolted.program("forcetls")), "doctor", "--json", "--policy-db", str(bolted.policy_db)]
    result = subprocess.run(command, env={**os.environ, "MAIL_CONFIG": str(lab.postfix.etc)}, capture_output=True,
                            text=True, check=False)
    told = json.loads(result.stdout)
    assert told["config_directory"] == str(lab.postfix.etc), result.stderr
    assert "config-directory" in ids(told["findings"], "note")
    run_fix(lab, next(finding["fix"] for finding in bolted.doctor()[1] if finding["id"] == "config-directory"))
    assert "config-directory" not in ids(bolted.doctor()[1])


def test_filters_on_an_address_of_this_host_are_no_other_host(lab: Lab, bolted: Forcetls):
    filters = {"content_filter": f"smtp:[{MAIL_HOST}]:10025", "smtpd_proxy_filter": f"{MAIL_HOST}:10024",
               "smtpd_milters": f"$non_smtpd_milters, inet:{MAIL_HOST}:11332"}
    lab.postfix.set(**filters)
    status, findings = bolted.doctor()
    assert (status, ids(findings, "leak", "warning")) == (NOTHING, set()), findings
    lab.postfix.set(**{name: value.replace(MAIL_HOST, DNS_ADDRESS) for name, value in filters.items()})
    assert ids(bolted.doctor()[1], "leak") == {"content-filter", "proxy-filter", "milter-elsewhere"}


def test_a_main_cf_without_a_newline_at_its_end_is_the_first_to_be_closed(lab: Lab, bolted: Forcetls):
    lab.postfix.unset("delay_warning_time")
    main_cf = lab.postfix.etc / "main.cf"
    text = main_cf.read_text("utf-8") + "smtp_destination_concurrency_limit = 3"
    main_cf.write_text(text, encoding="utf-8")
    lab.postfix.cool_configuration()
    findings = bolted.doctor()[1]
    assert findings[0]["id"] == "main-cf-newline", findings
    run_fix(lab, findings[0]["fix"])
    assert main_cf.read_text("utf-8") == text + "\n"
    findings = bolted.doctor()[1]
    assert ids(findings, "leak", "warning") == {"silent-deferral"}, findings
    run_fix(lab, findings[0]["fix"])
    assert ids(bolted.doctor()[1], "leak", "warning") == set()
    assert lab.postfix.get("smtp_destination_concurrency_limit") == "3"


def test_words_and_json_tell_the_same(stock: Forcetls, lab: Lab):
    files = ["--policy-db", str(stock.policy_db), "--config-dir", str(lab.postfix.etc)]
    words, as_json = stock.ctl("doctor", *files), stock.ctl("doctor", "--json", *files)
    told = json.loads(as_json.stdout)
    assert told["worst"] == "leak" and told["config_directory"] == str(lab.postfix.etc)
    assert told["postfix"] in words.stdout and words.returncode == as_json.returncode == LEAK
    for finding in told["findings"]:
        assert f"{finding['severity']}: {finding['id']} ({finding['certainty']})\n" in words.stdout
        assert f"  fix: {finding['fix']}\n" in words.stdout


def _broken(path: Path, lab: Lab) -> list[str]:
    (path / "main.cf").write_text("this is no parameter\n", encoding="utf-8")
    del lab
    return ["--config-dir", str(path)]


def _pipe(path: Path, lab: Lab) -> list[str]:
    os.mkfifo(path / "policy.db")
    del lab
    return ["--policy-db", str(path / "policy.db")]


@pytest.mark.parametrize(("arguments", "status", "sentence"), [
    (lambda *_: ["--config-dir", "/nowhere"], NOT_EXAMINED, "/nowhere/main.cf: no such file"),
    (_broken, NOT_EXAMINED, "missing '=' after attribute name"),
    (lambda *_: ["--policy-db", "/nowhere/policy.db"], NOT_EXAMINED, "/nowhere/policy.db"),
    (_pipe, NOT_EXAMINED, "policy.db: "),
    (lambda *_: ["--nonsense"], EX_USAGE, "--nonsense"),
    (lambda *_: ["--json", "argument"], EX_USAGE, "argument"),
], ids=["no instance", "broken main.cf", "no database", "a pipe", "wrong flag", "argument"])
def test_what_cannot_be_examined_is_one_line(lab: Lab, stock: Forcetls, tmp_path: Path, arguments, status: int,
                                             sentence: str):
    given = arguments(tmp_path, lab)
    if "--policy-db" not in given:
        given += ["--policy-db", str(stock.policy_db)]
    if "--config-dir" not in given:
        given += ["--config-dir", str(lab.postfix.etc)]
    result = stock.ctl("doctor", *given)
    assert result.returncode == status, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1 and sentence in result.stderr, result.stderr
    assert not result.stdout


def test_only_root_can_look(stock: Forcetls, lab: Lab):
    command = ["setpriv", "--reuid", str(DAEMON_USER.uid), "--regid", str(DAEMON_USER.uid), "--clear-groups",
               *shlex.split(str(stock.program("forcetls"))), "doctor", "--config-dir", str(lab.postfix.etc)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, len(result.stderr.strip().splitlines())) == (NOT_EXAMINED, 1)
    assert "root" in result.stderr


def test_a_host_without_postfix_is_one_line(stock: Forcetls, lab: Lab, tmp_path: Path):
    """In a root directory of its own that has the program and its libraries, and no postconf."""
    program = stock.program("forcetls")
    libraries = [word for word in subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True)
                 .stdout.split() if word.startswith("/")]
    for file in (str(program), *libraries):
        target = tmp_path / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(file).read_bytes())
        target.chmod(0o755)
    del lab
    result = subprocess.run(["chroot", str(tmp_path), str(program), "doctor"], capture_output=True, text=True,
                            check=False)
    assert (result.returncode, len(result.stderr.strip().splitlines())) == (NOT_EXAMINED, 1), result.stderr
    assert "Postfix is not installed" in result.stderr
