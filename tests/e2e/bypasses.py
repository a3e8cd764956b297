"""The ways round a row that are known: what each is, how a site comes to have it, and how it is closed.

Sources: the project's notes on Postfix (levels against partners, connection cache, bypasses of a table), its second look
at them, and those on TLS-Required. Some rows are no ways round it: they look so, and doctor must not call them a leak.
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
    _routes("a service with its own TLS session cache", partner="tls1.2", master_cf=(
        "cached unix - - y - - smtp -o smtp_tls_session_cache_database=btree:${{data_directory}}/cached_scache",),
        tables={"transport_maps": "{domain} cached:"}, row={"outbound": "verify"},
        play=after_a_delivery_by_another_name, before="partner TLSv1.2", finding="session-cache", about="cached",
        closed_by="setup", after="deferred 4.7.5"),
    _routes("a service whose level is none", master_cf=("none unix - - y - - smtp -o smtp_tls_security_level=none",),
            tables={"transport_maps": "{domain} none:"}, **NO_LEAK),
    _routes("a service whose level is empty", master_cf=("empty unix - - y - - smtp -o smtp_tls_security_level=",),
            tables={"transport_maps": "{domain} empty:"}, **NO_LEAK),
    _routes("a service with smtp_use_tls=no", tables={"transport_maps": "{domain} useno:"}, **NO_LEAK,
            master_cf=("useno unix - - y - - smtp -o smtp_tls_security_level= -o smtp_use_tls=no",)),
    _routes("a service that does not see STARTTLS", partner="good", tables={"transport_maps": "{domain} blind:"},
            master_cf=("blind unix - - y - - smtp -o smtp_discard_ehlo_keywords=starttls",), **NO_LEAK),
    _routes("a service that reuses TLS connections, without tlsproxy", partner="good",
            master_cf=("reuse unix - - y - - smtp -o smtp_tls_connection_reuse=yes",),
            tables={"transport_maps": "{domain} reuse:"}, before="deferred 4.7.5", finding="connection-reuse",
            severity="warning", about="reuse", closed_by="setup", after="partner TLSv1.3"),
    _routes("LMTP to another host", tables={"transport_maps": "{domain} lmtp:inet:{relay}:24"}, other="lmtp", port=24,
            finding="lmtp-elsewhere"),
    _routes("content_filter on another host", play=by_port(10023), port=10025, finding="content-filter",
            master_cf=("10023 inet n - y - - smtpd -o content_filter=smtp:[{relay}]:10025",)),
    _routes("smtpd_proxy_filter on another host", play=by_port(10024), port=10025, finding="proxy-filter",
            master_cf=("10024 inet n - y - - smtpd -o smtpd_proxy_filter={relay}:10025",)),
    _routes("sender_bcc_maps", partner="good", tables={"sender_bcc_maps": "{sender} archive@{other}"}, play=copied,
            before="other CLEAR, partner TLSv1.3", finding="bcc-copy", about="{other}",
            after="deferred 4.7.4, partner TLSv1.3"),
    _routes("recipient_bcc_maps", partner="good", tables={"recipient_bcc_maps": "user@{domain} archive@{other}"},
            play=copied, before="other CLEAR, partner TLSv1.3", finding="bcc-copy", about="{other}",
            after="deferred 4.7.4, partner TLSv1.3"),
    _routes("FILTER in a queued message", main_cf={"smtpd_sender_restrictions": "check_sender_access @"},
            tables={"smtpd_sender_restrictions": "{sender} FILTER smtp:[{relay}]"}, play=queued_with_a_filter,
            before="deferred 4.3.0, relay CLEAR", finding="queued-filter"),
]

# Values of which there is one for the whole host: a site of its own for each.
WHOLE_HOST = [
    Bypass("relayhost in brackets", "relayhost in brackets", main_cf={"relayhost": "[{relay}]"}, before="relay CLEAR",
           finding="route-next-hop", about="{relay}", closed_by="fix"),
    Bypass("relayhost as a bare name", "relayhost as a bare name", main_cf={"relayhost": "{relay}"},
           before="relay CLEAR", finding="route-next-hop", about="{relay}", closed_by="fix"),
    Bypass("transport_maps, for every domain", "transport for all", tables={"transport_maps": "* smtp:[{relay}]:25"},
           before="relay CLEAR", finding="route-next-hop", about="{relay}", closed_by="fix"),
    Bypass("default_transport, a service that does not ask", "default transport", master_cf=(NO_TABLE,),
           main_cf={"default_transport": "noask"}, finding="route-transport"),
    Bypass("a second table of the map's name is asked first", "default transport", master_cf=(),
           tables={"smtp_tls_policy_maps": "{domain} may"}, main_cf={"smtp_tls_policy_maps": f"@, {TABLE_MAP}"},
           finding="policy-map-not-first", about="smtp_tls_policy_maps"),
]


def _fallback(partner: str, **columns: object) -> Bypass:
    """A fallback relay for everybody."""
    return Bypass(f"smtp_fallback_relay, and the partner is {partner}", "fallback relay", partner=partner,
                  **{"before": "relay CLEAR", "finding": "fallback-relay", "about": "smtp_fallback_relay",
                     "closed_by": "fix", **columns})


FALLBACK = [
    _fallback("clear", main_cf={"smtp_fallback_relay": "[{relay}]"}),
    _fallback("refused-454"), _fallback("close"), _fallback("dead"),
]

# Nothing but our map on a stock Debian: what setup itself must close.
STOCK = [
    Bypass("a clear connection is kept while there is a backlog", "stock", play=after_a_clear_backlog,
           main_cf={"smtp_destination_concurrency_limit": "1"}, finding="connection-cache",
           about="smtp_connection_cache_on_demand"),
    Bypass("a TLS session is resumed under an older rule", "stock", partner="tls1.2", row={"outbound": "verify"},
           play=after_a_delivery_by_another_name, before="partner TLSv1.2", finding="session-cache",
           about="smtp_tls_session_cache_database", after="deferred 4.7.5"),
    Bypass("the bounce carries the text", "stock", sender="user@{other}", play=until_it_expires,
           before="deferred 4.7.4, other CLEAR", finding="bounce-bodies", about="bounce_size_limit"),
    Bypass("a 5xx to STARTTLS bounces", "stock", partner="refused-502", before="bounced 5.5.1",
           finding="starttls-5xx", severity="warning", about="smtp_delivery_status_filter", after="deferred 4.5.1"),
    Bypass("capital letters", "stock", recipient="user@{DOMAIN}", **NO_LEAK),
    Bypass("a recipient with a U-label", "stock", domain="xn--bnk-byp-5wa.example", recipient="user@bänk-byp.example",
           **NO_LEAK),
]

BYPASSES = [*ROUTES, *WHOLE_HOST, *FALLBACK, *STOCK]
