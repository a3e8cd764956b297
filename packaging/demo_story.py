"""The demo's story: a real Postfix with forcetls, five partners, and what becomes of the mail to each.

Run by packaging/demo, inside the namespaces that tests/e2e/lab/isolate.py makes.
"""

import subprocess
import sys
import textwrap

from lab.catalogue import Partner
from lab.forcetls import Forcetls
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


def tell(name: str, what: str, became: str) -> None:
    """One partner's line."""
    print(f"  {name:<16}{what}")
    print(textwrap.fill(became, WIDTH, initial_indent=" " * 16 + "-> ", subsequent_indent=" " * 19), flush=True)


class Story:
    """The lab, forcetls once it is there, and the five partners by domain."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.partners = {domain: lab.partners.add(kind, domain) for kind, domain, _ in PARTNERS}
        self.leaks = 0
        self.forcetls: Forcetls | None = None

    def fate(self, partner: Partner, submission: Submission, outcome: Outcome) -> str:
        """What became of a message, in plain words, from the mail log, the partner and the wire."""
        in_clear = self.lab.went_in_clear(submission.token)
        if in_clear:
            self.leaks += self.forcetls is not None
            return "DELIVERED IN CLEAR: everybody on the way could read it"
        if outcome.status == "sent":
            message = partner.received(submission.token)[0]
            return f"DELIVERED over {message.tls_version}; nothing of it was readable on the wire"
        return f"WAITS ({outcome.dsn}): {outcome.text}; nothing of it was readable on the wire"

    def send_to(self, domain: str) -> str:
        """Sends a message to a partner and waits for what becomes of it."""
        submission = self.lab.send(self.partners[domain].address("someone"))
        return self.fate(self.partners[domain], submission, self.lab.outcome(submission))

    def send_to_all(self) -> None:
        """One message to each partner."""
        for _, domain, what in PARTNERS:
            tell(domain, what, self.send_to(domain))

    def policy(self, sql: str) -> None:
        """Edits the policy with the stock sqlite3 shell, and shows it."""
        typed(f'sqlite3 policy.db "{sql}"')
        self.forcetls.set_policy(sql)

    def bolt_on(self) -> None:
        """forcetls comes, and the partners are put into the table."""
        self.forcetls = self.lab.start_forcetls()
        self.lab.reset("stock")
        typed("forcetls setup --apply", self.forcetls.set_up("--apply"))
        for _, domain, _ in PARTNERS:
            self.policy(f"INSERT INTO domain_policy(domain, outbound) VALUES ('{domain}', 'secure')")
        for _, domain, _ in PARTNERS:
            self.forcetls.wait_for_answer("tls", domain, "OK secure")

    def examine(self) -> None:
        """Ways around the table, as doctor sees them."""
        result = self.forcetls.ctl("doctor", "--policy-db", str(self.forcetls.policy_db), "--config-dir",
                                   str(self.lab.postfix.etc))
        typed("forcetls doctor", result.stdout)
        if result.returncode != 0:
            raise SystemExit(f"forcetls doctor: exit {result.returncode}\n{result.stderr}")

    def edit(self) -> None:
        """A row is changed while everything runs."""
        say("law.example says on the telephone that they forgot to renew. Until tonight any certificate will do, "
            "but encrypted it must be; then the row counts again by itself:")
        self.policy("INSERT INTO suspension(domain, level, ends_at, reason) VALUES "
                    "('law.example', 'encrypt', datetime('now', '+8 hours'), 'certificate expired, they renew today')")
        self.forcetls.wait_for_answer("tls", "law.example", "OK encrypt")
        tell("law.example", "still has its expired certificate", self.send_to("law.example"))
        say()
        say("A mistake in a row does no harm; it is refused with what to write instead:")
        wrong = "INSERT INTO domain_policy(domain) VALUES ('http://Bank.Example/')"
        _, errors = self.forcetls.policy(wrong)
        typed(f'sqlite3 policy.db "{wrong}"', errors)
        say("What decides for an address, and what Postfix will be told:")
        result = self.forcetls.ctl("check", "--policy-db", str(self.forcetls.policy_db), "someone@law.example")
        typed("forcetls check someone@law.example", result.stdout)

    def stop_policyd(self) -> None:
        """The daemon is down, and comes back."""
        partner = self.partners["bank.example"]
        self.forcetls.policyd.stop()
        # By sendmail(1): over SMTP the policy service, which is down too, would have it refused with 451.
        submission = self.lab.sendmail(partner.address("someone"))
        became = self.fate(partner, submission, self.lab.outcome(submission))
        tell("bank.example", "is fine, but Postfix cannot ask", became)
        self.forcetls.start_policyd()
        self.lab.postfix.flush()
        became = self.fate(partner, submission, self.lab.outcome(submission, status="sent"))
        tell("bank.example", "the daemon is back, the queue is flushed", became)


def main() -> int:
    """Tells the story. Status 1 if a message was seen in clear once its domain was forced."""
    version = subprocess.run(["postconf", "-d", "-h", "mail_version"], capture_output=True, text=True, check=True)
    say(f"A mail host with a real Postfix {version.stdout.strip()} and five partners, all in network namespaces of "
        "their own. Every byte between them is captured.")
    with Lab() as lab:
        story = Story(lab)
        heading("1. Postfix alone: TLS if it is offered (smtp_tls_security_level = may)")
        story.send_to_all()
        heading("2. forcetls is bolted on, and the partners are put into the table")
        story.bolt_on()
        story.examine()
        story.send_to_all()
        heading("3. A row is edited: the next message goes by it, without reload or restart")
        story.edit()
        heading("4. The daemon stops: nothing leaves until it is back, and nothing is lost")
        story.stop_policyd()
    heading("That is all")
    if story.leaks:
        say(f"{story.leaks} message(s) WENT OUT IN CLEAR although their domain was forced: this is a defect.")
        return 1
    say("Forced mail leaves over TLS as strong as its row demands, or it waits; what waits goes out as soon as it can. "
        "Everything that was started here is stopped and removed; only the installed packages and build/ stay.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
