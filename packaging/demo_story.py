"""The demo's story: a real Postfix with forcetls, five partners, and what becomes of the mail to each.

Run by packaging/demo, inside the namespaces that tests/e2e/lab/isolate.py makes.
"""

import subprocess
import sys
import textwrap

from lab.catalogue import Partner
from lab.lab import Lab
from lab.maillog import Outcome
from lab.smtp_client import Submission

WIDTH = 100

# kind of partner in the lab, its domain in the story, what is the matter with its server
PARTNERS = [
    ("good", "bank.example", "offers TLS with a valid certificate"),
    ("clear", "clinic.example", "offers no TLS at all (or an attacker has stripped STARTTLS)"),
    ("alert", "notary.example", "offers TLS, and then the handshake breaks"),
    ("expired", "law.example", "offers TLS with a certificate that has expired"),
    ("wrong-name", "broker.example", "offers TLS with a certificate for another name"),
]


def say(text: str = "") -> None:
    """Prints a paragraph."""
    print(textwrap.fill(text, WIDTH) if text else "", flush=True)


def heading(text: str) -> None:
    """Prints a heading."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def typed(command: str, output: str = "") -> None:
    """Prints a command as the administrator types it, and what it printed."""
    print(f"    # {command}")
    print(textwrap.indent(output, "    "), end="", flush=True)


def policy(lab: Lab, sql: str) -> None:
    """Edits the policy with the stock sqlite3 shell, and shows it."""
    typed(f'sqlite3 policy.db "{sql}"')
    lab.forcetls.set_policy(sql)


def fate(lab: Lab, partner: Partner, submission: Submission, outcome: Outcome) -> str:
    """What became of a message, in plain words, from the mail log, the partner and the wire."""
    in_clear = lab.went_in_clear(submission.token)
    if outcome.status == "sent":
        message = partner.received(submission.token)[0]
        if in_clear:
            return "DELIVERED IN CLEAR: everybody on the way could read it"
        return f"DELIVERED over {message.tls_version}; the wire showed nothing of it"
    clear = "IT WENT OUT IN CLEAR!" if in_clear else "the wire showed nothing of it"
    return f"WAITS ({outcome.dsn}): {outcome.text}; {clear}"


def send_to(lab: Lab, partner: Partner) -> str:
    """Sends a message to a partner and waits for what becomes of it."""
    submission = lab.send(partner.address("someone"))
    return fate(lab, partner, submission, lab.outcome(submission))


def tell(name: str, what: str, became: str) -> None:
    """One partner's line."""
    print(f"  {name:<16}{what}")
    print(textwrap.fill(became, WIDTH, initial_indent=" " * 16 + "-> ", subsequent_indent=" " * 19), flush=True)


def send_round(lab: Lab, partners: dict[str, Partner], verb: str) -> None:
    """One message to each partner."""
    heading(verb)
    for _, domain, what in PARTNERS:
        tell(domain, what, send_to(lab, partners[domain]))


def edit_and_send_again(lab: Lab, partners: dict[str, Partner]) -> None:
    """A row is changed while everything runs."""
    heading("3. A row is edited: the next message goes by it, without reload or restart")
    say("law.example says on the telephone that they forgot to renew. Until tonight any certificate will do, "
        "but encrypted it must be; then the row counts again by itself:")
    policy(lab, "INSERT INTO suspension(domain, level, ends_at, reason) VALUES "
                "('law.example', 'encrypt', datetime('now', '+8 hours'), 'certificate expired, they renew today')")
    lab.forcetls.wait_for_answer("tls", "law.example", "OK encrypt")
    tell("law.example", "still has its expired certificate", send_to(lab, partners["law.example"]))
    say("A mistake in a row does no harm; it is refused with what to write instead:")
    wrong = "INSERT INTO domain_policy(domain) VALUES ('http://Bank.Example/')"
    _, errors = lab.forcetls.policy(wrong)
    typed(f'sqlite3 policy.db "{wrong}"', errors)
    say("What decides for an address, and what Postfix will be told:")
    result = lab.forcetls.ctl("check", "--policy-db", str(lab.forcetls.policy_db), "someone@law.example")
    typed("forcetls check someone@law.example", result.stdout)


def stop_policyd(lab: Lab, partners: dict[str, Partner]) -> None:
    """The daemon is down, and comes back."""
    heading("4. The daemon stops: nothing leaves until it is back, and nothing is lost")
    partner = partners["bank.example"]
    lab.forcetls.policyd.stop()
    # The policy service would refuse new mail with 451 too: this one comes in by sendmail(1).
    submission = lab.sendmail(partner.address("someone"))
    tell("bank.example", "is fine, but Postfix cannot ask", fate(lab, partner, submission, lab.outcome(submission)))
    lab.forcetls.start_policyd()
    lab.postfix.flush()
    outcome = lab.outcome(submission, status="sent")
    tell("bank.example", "the daemon is back, the queue is flushed", fate(lab, partner, submission, outcome))


def main() -> int:
    """Tells the story. Status 1 if any message of a forced domain was seen in clear."""
    version = subprocess.run(["postconf", "-d", "-h", "mail_version"], capture_output=True, text=True, check=True)
    say(f"A mail host with a real Postfix {version.stdout.strip()} and five partners, all in network namespaces of "
        "their own. Every byte between them is captured.")
    with Lab() as lab:
        partners = {domain: lab.partners.add(kind, domain) for kind, domain, _ in PARTNERS}
        send_round(lab, partners, "1. Postfix alone: TLS if offered (smtp_tls_security_level = may)")
        lab.start_forcetls()
        heading("2. forcetls is bolted on, and the partners are put into the table")
        for _, domain, _ in PARTNERS:
            policy(lab, f"INSERT INTO domain_policy(domain, outbound) VALUES ('{domain}', 'secure')")
        for _, domain, _ in PARTNERS:
            lab.forcetls.wait_for_answer("tls", domain, "OK secure")
        for _, domain, what in PARTNERS:
            tell(domain, what, send_to(lab, partners[domain]))
        edit_and_send_again(lab, partners)
        stop_policyd(lab, partners)
    heading("That is all")
    say("Forced mail leaves over TLS as strong as its row demands, or it waits; what waits goes out as soon as it can. "
        "Everything that was started here is stopped and removed; only the installed packages stay.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
