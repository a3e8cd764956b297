"""The ways round a row that are known: what each is, how a site comes to have it, and how it is closed.

Sources: the project's notes on Postfix (levels against partners, connection cache, bypasses of a table), its second
look at them, and those on TLS-Required. Some rows are no ways round it: they look so, and doctor must not call them a
leak.
`before` is the proof that the way is real; `finding` is what doctor must say of it; `after` is what becomes of the
message when `setup --apply` or the finding's own fix has been done. See sites.Bypass for the columns.
"""

from plays import (after_a_clear_backlog, after_a_delivery_by_another_name, by_port, by_sendmail, copied, from_outside,
                   queued_with_a_filter, until_it_expires, with_headers)
from sites import TABLE_MAP, Bypass

NO_LEAK = {"finding": "", "closed_by": "", "before": "deferred 4.7.4"}
NO_TABLE = "noask unix - - y - - smtp -o smtp_tls_policy_maps="


def _routes(what: str, **columns: object) -> Bypass:
    """A site that moves next hops by tables."""
    return Bypass(what, "routes by tables", **{"before": "relay CLEAR", "finding": "route-next-hop",
                                               "about": "{relay}", "closed_by": "fix", **columns})


ROUTES = [
    _routes("transport_maps, a relay in brackets", tables={"transport_maps": "{domain} smtp:[{relay}]"}),
    _routes("transport_maps, a relay by its bare name", tables={"transport_maps": "{domain} relay:{relay}"}),
    _routes("transport_maps, a relay with a port", tables={"transport_maps": "{domain} smtp:{relay}:25"}),
    _routes("transport_maps, the partner's MX", tables={"transport_maps": "{domain} smtp:[{mx}]:25"},
            before="partner CLEAR", about="[{mx}]:25"),
    _routes("transport_maps, the domain with a port", tables={"transport_maps": "{domain} smtp:{domain}:25"},
            before="partner CLEAR", about="{domain}:25"),
    _routes("transport_maps, a relay with TLS that nobody vouches for", other="self-signed",
            tables={"transport_maps": "{domain} smtp:[{relay}]"}, row={"outbound": "secure"}, before="relay TLSv1.3",
            after="deferred 4.7.5"),
    _routes("transport_maps, a relay whose own row is weaker", other="self-signed",
            tables={"transport_maps": "{domain} smtp:[{relay}]"}, row={"outbound": "secure"}, before="relay TLSv1.3",
            sql="INSERT INTO domain_policy(domain) VALUES ('[{relay}]')", after="deferred 4.7.5"),
    _routes("transport_maps, a relay whose row is off", tables={"transport_maps": "{domain} smtp:[{relay}]"},
            sql="INSERT INTO domain_policy(domain, mode) VALUES ('[{relay}]', 'off')"),
    _routes("transport_maps, a relay with a row as strong", tables={"transport_maps": "{domain} smtp:[{relay}]"},
            sql="INSERT INTO domain_policy(domain) VALUES ('[{relay}]')", **NO_LEAK),
    _routes("sender_dependent_relayhost_maps", tables={"sender_dependent_relayhost_maps": "{sender} [{relay}]:25"},
            finding="sender-route"),
    _routes("transport_maps, a service that does not ask", master_cf=(NO_TABLE,),
            tables={"transport_maps": "{domain} noask:"}, before="partner CLEAR", finding="route-transport",
            about="{domain}", closed_by="setup"),
    _routes("sender_dependent_default_transport_maps, a service that does not ask", master_cf=(NO_TABLE,),
            tables={"sender_dependent_default_transport_maps": "{sender} noask:"}, before="partner CLEAR",
            finding="service-policy-map", about="noask", closed_by="setup"),
    _routes("relay_transport, a service that does not ask", master_cf=(NO_TABLE,),
            main_cf={"relay_transport": "noask", "relay_domains": "{domain}"}, before="partner CLEAR",
            finding="route-transport", about="{domain}", closed_by="setup"),
    _routes("a service with a table of its own",
            master_cf=("owntable unix - - y - - smtp -o smtp_tls_policy_maps=texthash:{config}/no-such-table",),
            tables={"transport_maps": "{domain} owntable:"}, before="deferred 4.7.5", finding="service-policy-map",
            about="owntable", closed_by="setup"),
    _routes("a service with a fallback relay of its own",
            master_cf=("fallback unix - - y - - smtp -o smtp_fallback_relay=[{relay}]",),
            tables={"transport_maps": "{domain} fallback:"}, finding="fallback-relay", closed_by="fix"),
    _routes("a service with a fallback relay of its own, by its bare name",
            master_cf=("barefallback unix - - y - - smtp -o smtp_fallback_relay={relay}",),
            tables={"transport_maps": "{domain} barefallback:"}, finding="fallback-relay", closed_by="fix"),
    _routes("a fallback relay whose row is weaker", partner="wrong-name", other="unknown-ca",
            master_cf=("weakfallback unix - - y - - smtp -o smtp_fallback_relay=[{relay}]",),
            sql="INSERT INTO domain_policy(domain) VALUES ('[{relay}]')", row={"outbound": "secure"},
            tables={"transport_maps": "{domain} weakfallback:"}, before="relay TLSv1.3", finding="fallback-relay",
            closed_by="fix", after="deferred 4.7.5"),
    _routes("a service with its own TLS session cache", partner="tls1.2", master_cf=(
        "cached unix - - y - - smtp -o smtp_tls_session_cache_database=btree:${{data_directory}}/cached_scache",),
        tables={"transport_maps": "{domain} cached:"}, row={"outbound": "secure", "match": "{mx}"},
        play=after_a_delivery_by_another_name, before="partner TLSv1.2", finding="session-cache",
        about="cached", closed_by="setup", after="deferred 4.7.5"),
    _routes("a service whose level is none", master_cf=("none unix - - y - - smtp -o smtp_tls_security_level=none",),
            tables={"transport_maps": "{domain} none:"}, **NO_LEAK),
    _routes("a service whose level is empty", master_cf=("empty unix - - y - - smtp -o smtp_tls_security_level=",),
            tables={"transport_maps": "{domain} empty:"}, **NO_LEAK),
    _routes("a service with smtp_use_tls=no", tables={"transport_maps": "{domain} useno:"}, **NO_LEAK,
            master_cf=("useno unix - - y - - smtp -o smtp_tls_security_level= -o smtp_use_tls=no",)),
    _routes("a service that does not see STARTTLS", partner="good", tables={"transport_maps": "{domain} blind:"},
            master_cf=("blind unix - - y - - smtp -o smtp_discard_ehlo_keywords=starttls",), before="deferred 4.7.4",
            finding="starttls-discarded", severity="warning", about="blind", closed_by="fix", after="partner TLSv1.3"),
    _routes("a service that does not ask for what servers offer", partner="good",
            tables={"transport_maps": "{domain} silent:"}, before="deferred 4.7.4", finding="starttls-discarded",
            master_cf=("silent unix - - y - - smtp -o smtp_never_send_ehlo=yes",), severity="warning", about="silent",
            closed_by="fix", after="partner TLSv1.3"),
    _routes("a service that reuses TLS connections, without tlsproxy", partner="good",
            master_cf=("reuse unix - - y - - smtp -o smtp_tls_connection_reuse=yes",),
            tables={"transport_maps": "{domain} reuse:"}, before="deferred 4.7.5", finding="connection-reuse",
            severity="warning", about="reuse", closed_by="fix", after="partner TLSv1.3"),
    _routes("LMTP to another host", tables={"transport_maps": "{domain} lmtp:inet:{relay}:24"}, other="lmtp", port=24,
            finding="lmtp-elsewhere"),
    _routes("LMTP to another host, whose own row is not asked for", other="lmtp", port=24, finding="lmtp-policy-map",
            tables={"transport_maps": "{domain} lmtp:inet:{relay}:24"}, about="lmtp_tls_policy_maps",
            sql="INSERT INTO domain_policy(domain) VALUES ('{relay}:24')", closed_by="setup"),
    _routes("LMTP to another host for a single user", other="lmtp", port=24, finding="lmtp-elsewhere",
            tables={"transport_maps": "user@{domain} lmtp:inet:{relay}:24"}),
    _routes("content_filter on another host", play=by_port(10023), port=10025, finding="content-filter",
            master_cf=("10023 inet n - y - - smtpd -o content_filter=smtp:[{relay}]:10025",)),
    _routes("smtpd_proxy_filter on another host", play=by_port(10024), port=10025, finding="proxy-filter",
            master_cf=("10024 inet n - y - - smtpd -o smtpd_proxy_filter={relay}:10025",)),
    _routes("a milter on another host", play=by_port(10025), finding="milter-elsewhere", before="deferred 4.7.4",
            master_cf=("10025 inet n - y - - smtpd -o smtpd_milters={{inet:{relay}:25,default_action=accept}}",)),
    _routes("sender_bcc_maps", partner="good", tables={"sender_bcc_maps": "{sender} archive@{other}"}, play=copied,
            before="other CLEAR, partner TLSv1.3", finding="bcc-copy", about="{other}",
            after="deferred 4.7.4, partner TLSv1.3"),
    _routes("recipient_bcc_maps", partner="good", tables={"recipient_bcc_maps": "user@{domain} archive@{other}"},
            play=copied, before="other CLEAR, partner TLSv1.3", finding="bcc-copy", about="{other}",
            after="deferred 4.7.4, partner TLSv1.3"),
    _routes("virtual_alias_maps, a user", partner="good", tables={"virtual_alias_maps": "user@{domain} x@{other}"},
            before="other CLEAR", finding="rewritten-recipient", about="{other}"),
    _routes("virtual_alias_maps, a domain", partner="good", tables={"virtual_alias_maps": "@{domain} x@{other}"},
            before="other CLEAR", finding="rewritten-recipient", about="{other}"),
    _routes("recipient_canonical_maps", partner="good", tables={"recipient_canonical_maps": "@{domain} @{other}"},
            before="other CLEAR", finding="rewritten-recipient", about="{other}"),
    _routes("REDIRECT in an access table", partner="good", before="other CLEAR", finding="rewritten-recipient",
            main_cf={"smtpd_sender_restrictions": "check_sender_access @"}, about="{other}",
            tables={"smtpd_sender_restrictions": "{sender} REDIRECT x@{other}"}),
    _routes("FILTER in a queued message", main_cf={"smtpd_sender_restrictions": "check_sender_access @"},
            tables={"smtpd_sender_restrictions": "{sender} FILTER smtp:[{relay}]"}, play=queued_with_a_filter,
            before="deferred 4.3.0, relay CLEAR", finding="queued-filter"),
]

ROWS_ONLY = f"rows{{number}} unix - - y - - smtp -o smtp_tls_policy_maps={TABLE_MAP}"
UNLISTED = "UPDATE setting SET value = 'encrypt' WHERE name = 'unlisted_relay'"


def _unlisted(what: str, **columns: object) -> Bypass:
    """Next hops without a row, while unlisted_relay is encrypt."""
    return Bypass(what, "unlisted relays are held", sql=UNLISTED, **{
        "main_cf": {"smtp_tls_policy_maps": f"{TABLE_MAP}, {TABLE_MAP.replace(':tls', ':default')}"},
        "before": "relay CLEAR", "about": "{relay}", "closed_by": "fix", **columns})


UNLISTED_RELAYS = [
    _unlisted("a relay, by a service that asks for it", tables={"transport_maps": "{domain} smtp:[{relay}]"},
              **NO_LEAK),
    _unlisted("a relay, by a service that asks for rows alone", master_cf=(ROWS_ONLY,),
              tables={"transport_maps": "{domain} rows{number}:[{relay}]"}, finding="route-next-hop"),
    _unlisted("LMTP to another host, which never asks for it", other="lmtp", port=24, finding="lmtp-elsewhere",
              tables={"transport_maps": "{domain} lmtp:inet:{relay}:24"},
              main_cf={"lmtp_tls_policy_maps": TABLE_MAP.replace(":tls", ":lmtp")}),
]

# Values of which there is one for the whole host: a site of its own for each.
WHOLE_HOST = [
    Bypass("relayhost in brackets", "relayhost in brackets", main_cf={"relayhost": "[{relay}]"}, before="relay CLEAR",
           finding="route-next-hop", about="{relay}", closed_by="fix"),
    Bypass("relayhost as a bare name", "relayhost as a bare name", main_cf={"relayhost": "{relay}"},
           before="relay CLEAR", finding="route-next-hop", about="{relay}", closed_by="fix"),
    Bypass("relayhost, and main.cf's own level is encrypt", "level encrypt", **NO_LEAK | {"about": "{relay}"},
           main_cf={"relayhost": "[{relay}]", "smtp_tls_security_level": "encrypt"}),
    Bypass("relayhost of trivial-rewrite alone", "relayhost of trivial-rewrite", before="relay CLEAR",
           master_cf=("rewrite unix - - y - - trivial-rewrite -o relayhost=[{relay}]",), finding="route-next-hop",
           about="{relay}", closed_by="fix"),
    Bypass("transport_maps, for every domain", "transport for all", tables={"transport_maps": "* smtp:[{relay}]:25"},
           before="relay CLEAR", finding="route-next-hop", about="{relay}", closed_by="fix"),
    Bypass("default_transport, a service that does not ask", "default transport", master_cf=(NO_TABLE,),
           main_cf={"default_transport": "noask"}, finding="route-transport"),
    Bypass("always_bcc", "a copy of everything", partner="good", main_cf={"always_bcc": "archive@{other}"},
           play=copied, before="other CLEAR, partner TLSv1.3", finding="bcc-copy", about="{other}", closed_by="fix",
           after="deferred 4.7.4, partner TLSv1.3"),
    Bypass("always_bcc to a domain that is relayed", "a copy to a relayed domain", partner="good",
           main_cf={"always_bcc": "archive@{other}", "relay_domains": "{other}"},
           sql="UPDATE setting SET value = '{other}' WHERE name = 'own_domains'", play=copied,
           before="other CLEAR, partner TLSv1.3", finding="bcc-copy", about="{other}", closed_by="fix",
           after="deferred 4.7.4, partner TLSv1.3"),
    Bypass("sender_bcc_maps of a service", "a copy by a service", partner="good", play=copied,
           tables={"copies": "{sender} archive@{other}"},
           master_cf=("cleanup unix n - y - 0 cleanup -o sender_bcc_maps=$copies",),
           before="other CLEAR, partner TLSv1.3", finding="bcc-copy", about="{other}", closed_by="fix",
           after="deferred 4.7.4, partner TLSv1.3"),
    Bypass("the map is not asked", "no map", main_cf={"smtp_tls_policy_maps": ""}, finding="policy-map-missing",
           about="smtp_tls_policy_maps"),
    Bypass("smtp_tls_per_site, which Postfix no longer asks", "per-site table", row={},
           tables={"smtp_tls_per_site": "{domain} MUST"}, finding="per-site-ignored", severity="warning",
           about="smtp_tls_per_site",
           closed_by="fix"),
    Bypass("smtp_tls_per_site says NONE", "per-site table", tables={"smtp_tls_per_site": "{domain} NONE"}, **NO_LEAK),
    Bypass("default before a table that is stricter about a relay", "default not last", other="self-signed",
           tables={"smtp_tls_policy_maps": "[{relay}]:25 secure", "transport_maps": "{domain} smtp:[{relay}]:25"},
           main_cf={"smtp_tls_policy_maps": f"{TABLE_MAP}, {TABLE_MAP.replace(':tls', ':default')}, @"}, row={},
           sql="UPDATE setting SET value = 'encrypt' WHERE name = 'unlisted_relay'", before="relay TLSv1.3",
           finding="policy-map-not-first", about="smtp_tls_policy_maps", after="deferred 4.7.5"),
]


def _fallback(partner: str, **columns: object) -> Bypass:
    """A fallback relay for everybody."""
    return Bypass(site="fallback relay", partner=partner,
                  **{"what": f"smtp_fallback_relay, and the partner is {partner}", "before": "relay CLEAR",
                     "finding": "fallback-relay", "about": "smtp_fallback_relay",
                     "closed_by": "fix", **columns})


FALLBACK = [
    _fallback("clear", main_cf={"smtp_fallback_relay": "[{relay}]"}),
    _fallback("refused-454"), _fallback("close"), _fallback("dead"),
    _fallback("good", what="users may hand mail in without TLS", play=from_outside(587), arrives_in_clear=True,
              master_cf=("submission inet n - y - - smtpd -o smtpd_tls_security_level=may",), before="partner TLSv1.3",
              finding="submission-clear", severity="warning", about="submission", after="refused 530"),
]

# For a slow machine: Postfix keeps a connection for 2 s, the time in which the play must go on.
KEPT_LONGER = {"smtp_connection_cache_time_limit": "20s", "connection_cache_ttl_limit": "20s"}

# Nothing but our map on a stock Debian: what setup itself must close.
STOCK = [
    # From Postfix 3.10.3 on a kept connection is found again only at the security level at which it was made.
    Bypass("a clear connection is kept while there is a backlog", "stock", play=after_a_clear_backlog, until=(3, 10),
           main_cf={"smtp_destination_concurrency_limit": "1", **KEPT_LONGER}, finding="connection-cache",
           about="smtp_connection_cache_on_demand"),
    Bypass("clear connections to a domain are always kept", "stock", play=after_a_clear_backlog, until=(3, 10),
           main_cf={"smtp_connection_cache_destinations": "{domain}"}, finding="connection-cache",
           about="smtp_connection_cache_destinations"),
    Bypass("a TLS session is resumed under an older rule", "stock", partner="tls1.2", row={"outbound": "secure", "match": "{mx}"},
           play=after_a_delivery_by_another_name, before="partner TLSv1.2", finding="session-cache",
           about="smtp_tls_session_cache_database", after="deferred 4.7.5"),
    Bypass("the bounce carries the text", "stock", sender="user@{other}", play=until_it_expires,
           before="deferred 4.7.4, other CLEAR", finding="bounce-bodies", about="bounce_size_limit"),
    Bypass("a 5xx to STARTTLS bounces", "stock", partner="refused-502", before="bounced 5.5.1",
           finding="starttls-5xx", severity="warning", about="smtp_delivery_status_filter", after="deferred 4.5.1"),
    Bypass("users hand mail in by a port with restrictions of its own", "stock", partner="good",
           play=from_outside(587), before="partner TLSv1.3", finding="policy-service-missing", about="submission",
           severity="warning", after="refused 451", arrives_in_clear=True,
           master_cf=("submission inet n - y - - smtpd -o smtpd_recipient_restrictions=permit_mynetworks,reject",)),
    Bypass("the address of the partner's server", "stock", recipient="user@[{mx_address}]", finding="unlisted-relay",
           severity="note", about="unlisted_relay", closed_by="fix"),
    Bypass("a sub-domain, which the row does not name", "stock", domain="a-first.example",
           recipient="user@sub.{domain}", finding="sub-domain-rows", severity="note", about="{domain}",
           closed_by="fix"),
    Bypass("capital letters", "stock", recipient="user@{DOMAIN}", **NO_LEAK),
    Bypass("a recipient with a U-label", "stock", domain="xn--bnk-byp-5wa.example", recipient="user@bänk-byp.example",
           **NO_LEAK),
    Bypass("a recipient with an ideographic full stop", "stock", domain="full-stop.example",
           recipient="user@full-stop。example", **NO_LEAK),
]

# Values of main.cf that look like ways round a row, or are.
MAIN_CF = [
    Bypass("an earlier table that has the domain", "main.cf", tables={"smtp_tls_policy_maps": "{domain} may"},
           main_cf={"smtp_tls_policy_maps": f"@, {TABLE_MAP}"}, finding="policy-map-not-first",
           about="smtp_tls_policy_maps"),
    Bypass("an earlier table that has a parent of the domain", "main.cf", domain="bank.earlier-parent.example",
           tables={"smtp_tls_policy_maps": ".earlier-parent.example may"}, **NO_LEAK),
    Bypass("main.cf excludes more ciphers than the row", "main.cf", partner="tls1.2",
           main_cf={"smtp_tls_mandatory_exclude_ciphers": "ECDHE"}, before="partner TLSv1.2",
           finding="floor-not-recorded", severity="warning", about="floor_exclude",
           after="deferred 4.7.5"),
    Bypass("main.cf allows fewer ciphers than grade high", "cipher list", partner="tls1.2",
           main_cf={"tls_medium_cipherlist": "ECDHE-RSA-AES256-GCM-SHA384"}, before="partner TLSv1.2",
           finding="floor-not-recorded", severity="warning", about="tls_medium_cipherlist", closed_by="fix",
           after="deferred 4.7.5"),
    Bypass("smtp_tls_security_level = none", "main.cf", main_cf={"smtp_tls_security_level": "none"}, **NO_LEAK),
    Bypass("smtp_tls_secure_cert_match = hostname", "main.cf", partner="outsourced", row={"outbound": "secure"},
           main_cf={"smtp_tls_secure_cert_match": "hostname"}, after="deferred 4.7.5",
           **NO_LEAK | {"before": "deferred 4.7.5"}),
]


def _hidden(what: str, **columns: object) -> Bypass:
    """What forcetls answers is less than the site's own table would."""
    return Bypass(what, "own table behind ours", partner="self-signed", **{
        "main_cf": {"smtp_tls_policy_maps": f"{TABLE_MAP}, @, {TABLE_MAP.replace(':tls', ':default')}"},
        "tables": {"smtp_tls_policy_maps": "{domain} secure"}, "before": "partner TLSv1.3", "finding": "hidden-entry",
        "closed_by": "fix", "after": "deferred 4.7.5", **columns})


HIDDEN = [
    _hidden("a row hides a stricter entry of the site's own table", severity="warning"),
    _hidden("a parent's row hides a stricter entry of the site's own table", domain="a.hidden-parent.example", row={},
            sql="INSERT INTO domain_policy(domain) VALUES ('.hidden-parent.example')"),
    _hidden("default_outbound hides a stricter entry of the site's own table", domain="a.hidden-default.example", row={},
            tables={"smtp_tls_policy_maps": ".hidden-default.example secure"}, about="hidden-default.example",
            sql="UPDATE setting SET value = 'encrypt' WHERE name = 'default_outbound'"),
]


def _strict(what: str, partner: str, row: dict[str, str], finding: str, **columns: object) -> Bypass:
    """Rows that this Postfix cannot meet: nothing leaks, mail is stopped."""
    return Bypass(what, "strict rows", partner=partner, row=row, finding=finding, **{
        "before": "deferred 4.7.5", "severity": "warning", "after": "partner TLSv1.3", **columns})


STRICT = [
    _strict("no store of authorities", "good", {"outbound": "verify"}, "ca-store", about="smtp_tls_CAfile",
            main_cf={"smtp_tls_CAfile": ""}),
    _strict("digests of another kind", "good", {"outbound": "fingerprint", "match": "{digest}"},
            "fingerprint-digest", about="smtp_tls_fingerprint_digest", main_cf={"smtp_tls_fingerprint_digest": "md5"}),
    _strict("dane-only without DNSSEC", "dane", {"outbound": "dane-only"}, "dane-dnssec",
            about="smtp_dns_support_level"),
    _strict("dane without DNSSEC is may", "dane-bad", {"outbound": "dane"}, "dane-dnssec",
            about="smtp_dns_support_level", before="partner TLSv1.3", after="deferred 4.7.5"),
    _strict("a trust anchor outside the chroot", "good", {"outbound": "secure", "tafile": "{ca}"}, "tafile-chroot",
            about="{ca}"),
    _strict("smtp_enforce_tls, which a level overrides", "clear", {"outbound": "encrypt"}, "", about="{domain}",
            main_cf={"smtp_enforce_tls": "yes"}, before="deferred 4.7.4", closed_by="", after="deferred 4.7.4"),
    _strict("main.cf wants a newer protocol than the row", "tls1.2", {"outbound": "encrypt"}, "floor-not-recorded",
            main_cf={"smtp_tls_mandatory_protocols": ">=TLSv1.3"}, about="floor_min_protocol",
            before="partner TLSv1.2", after="deferred 4.7.5"),
]


def _header(what: str, lines: str, **columns: object) -> Bypass:
    """A sender who writes TLS-Required: no; obeyed from Postfix 3.10 on."""
    return Bypass(f"TLS-Required: no, {what}", "stock", **{
        "play": with_headers(lines), "since": (3, 10), "finding": "tls-required-header",
        "about": "tls_required_enable", **columns})


def _not_obeyed(what: str, lines: str, **columns: object) -> Bypass:
    """What looks like it."""
    return _header(what, lines, **NO_LEAK, **{"about": "{domain}", **columns})


TLS_REQUIRED = [
    # Without the milter's word on it, so that delivery is seen to be held to the row by itself.
    _header("as in the RFC", "TLS-Required: no\n",
            sql="UPDATE setting SET value = 'ignore' WHERE name = 'tls_required_header'"),
    _header("in capitals", "TLS-REQUIRED: NO\n"),
    _header("without a blank", "TLS-Required:no\n"),
    _header("with a blank before the colon", "TLS-Required : no\n"),
    _header("folded", "TLS-Required:\n no\n"),
    _header("one of several", "TLS-Required: yes\nTLS-Required: no\n"),
    _header("by sendmail(1)", "", play=by_sendmail("TLS-Required: no\n")),
    _header("at verify, another name", "TLS-Required: no\n", partner="wrong-name", row={"outbound": "verify"},
            before="partner TLSv1.3", after="deferred 4.7.5"),
    _header("at secure, a certificate that nobody vouches for", "TLS-Required: no\n", partner="self-signed",
            row={"outbound": "secure"}, before="partner TLSv1.3", after="deferred 4.7.5"),
    _header("the first of two servers has no TLS", "TLS-Required: no\n", partner="clear-then-good",
            after="second TLSv1.3"),
    _header("made of another one by header_checks", "X-In-Clear: yes\n", main_cf={
        "header_checks": "regexp:{{{{/^X-In-Clear:/ REPLACE TLS-Required: no}}}}"}),
    _not_obeyed("with a comment", "TLS-Required: no (really)\n"),
    _not_obeyed("but yes", "TLS-Required: yes\n"),
    _not_obeyed("in the text", "X-Next: text\n\nTLS-Required: no\n"),
    _header("obeyed by one service", "TLS-Required: no\n", main_cf={}, tables={"transport_maps": "{domain} obeys:"},
            master_cf=("obeys unix - - y - - smtp -o tls_required_enable=yes",), about="obeys"),
]

BYPASSES = [*ROUTES, *UNLISTED_RELAYS, *WHOLE_HOST, *FALLBACK, *STOCK, *TLS_REQUIRED, *MAIN_CF, *HIDDEN, *STRICT]
