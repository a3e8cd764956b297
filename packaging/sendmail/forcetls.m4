dnl
dnl forcetls for Sendmail 8.17 and later: holds outgoing mail to the rows of forcetls' policy.
dnl
dnl In sendmail.mc, behind the MAILER() lines:
dnl
dnl	include(`/etc/mail/m4/forcetls.m4')dnl
dnl
dnl README.md, "Bolt it onto Sendmail", has the lines that belong before them.
dnl
dnl Sendmail asks forcetls-policyd for every recipient, after STARTTLS and before RCPT TO. Only the
dnl answers below let a message go on. Whatever else comes (no answer, a fault, "not found", a form
dnl that this file does not know) defers the recipient.
dnl
dnl	NONE				nothing is forced
dnl	TEMP+ENCR:128			TLS 1.2 or newer, 128 bits, any certificate
dnl	TEMP+VERIFY:128+CN		and a valid one whose subject CN is the MX host's name
dnl	TEMP+VERIFY:128+CN:NAME		and a valid one whose subject CN is NAME
dnl
dnl All of it is checked here. TLS_connection is not used: it means something else without
dnl FEATURE(`access_db'), and again with FEATURE(`check_cert_altnames').
dnl
dnl Without -q the daemon would not see a backslash: it is asked for 099ank.example, and mail to
dnl \099ank.example goes to cank.example, since the resolver takes \099 for c.
dnl
dnl Sendmail goes on where a rule cannot be applied, and what is no error then lets mail go: the name in a
dnl certificate can be such that no rule can put it into a text. So the rules that judge are a ruleset of
dnl their own, and the one that Sendmail calls takes everything but <OK> for an error. The refusal of a
dnl certificate does not also name the MX host (the log has it as relay=): both texts are the partner's, and
dnl long ones together come too near to the 1000 words that Sendmail has room for.
dnl
dnl -T<TMPF> stays on the K line, and -o off it: with these rules mail waits even so, with others it would
dnl leave in clear while the daemon is down. In the rules, TAB characters separate the columns.
dnl
dnl Sendmail replaces an aliased recipient domain by what DNS says it stands for, before anybody is
dnl asked: with a forged alias mail would be held to another domain's row. So aliases stay as they are.
dnl Nor may it put a domain below this host's own (the resolver's search list) where DNS knows nothing of
dnl the recipient's, or cannot say: with a wildcard there, mail would go to a name without a row.
dnl submit.mc needs the same two lines.
dnl
divert(0)dnl
define(`confDONT_EXPAND_CNAMES', `True')dnl
define(`confBIND_OPTS', ifdef(`confBIND_OPTS', `confBIND_OPTS ')`-DNSRCH -DEFNAMES')dnl
ifdef(`_FORCETLS_SOCKET_', `', `define(`_FORCETLS_SOCKET_', `unix:/run/forcetls/map.sock')')dnl
LOCAL_CONFIG
# forcetls: the policy daemon, and what a session may look like where TLS is forced
Ksendmail socket -q -d5 -T<TMPF> _FORCETLS_SOCKET_
Kforcetls_arith arith
# {verify} of a TLS session with a certificate; NO would be one without (anonymous)
C{ForcetlsSession}OK TRUSTED FAIL
C{ForcetlsValid}OK TRUSTED
C{ForcetlsVersion}TLSv1.2 TLSv1.3

LOCAL_RULESETS
# forcetls: <answer of the daemon>; an address without a domain is local
SForcetls_tls_rcpt
R$+			$: <?> $>CanonAddr $1
R<?> $+ < @ $+ . >	<?> $1 < @ $2 >
R<?> $+ < @ $+ >	$: <$(sendmail $2 $: FAULT $)>
R<?> $* $#$*		$#error $@ 4.7.0 $: "451 TLS policy cannot be applied"
R<?> $* @ $*		$#error $@ 4.7.0 $: "451 TLS policy cannot be applied"
R<?> $*			$@ <OK>
R<NONE>			$@ <OK>
# <what is wanted> and the session: {verify}, version, fewer than 128 bits?
R<TEMP + ENCR : 128>	$: <ANY> $&{verify} $| $&{tls_version} $| $(forcetls_arith l $@ $&{cipher_bits} $@ 128 $)
R<TEMP + VERIFY : 128 + CN>	$: <TEMP + VERIFY : 128 + CN : $&{server_name}>
R<TEMP + VERIFY : 128 + CN : $+>	$: <CN $1> $&{verify} $| $&{tls_version} $| $(forcetls_arith l $@ $&{cipher_bits} $@ 128 $)
R<$*>			$#error $@ 4.7.0 $: "451 TLS policy lookup failed"
# <what is wanted> {verify}, if the session is good enough for any forced recipient
R<$+> $={ForcetlsSession} $| $={ForcetlsVersion} $| FALSE	$: <$1> $2
R<$+> $* $| $* $| $*	$#error $@ 4.7.0 $: "403 TLS is required: this session has verify=" $2 " version=" $3
R<ANY> $={ForcetlsSession}	$@ <OK>
R<CN $&{cn_subject}> $={ForcetlsValid}	$@ <OK>
R<CN $+> $*		$#error $@ 4.7.0 $: "403 TLS is required: certificate (verify=" $2 ") is for " $&{cn_subject}
R$*			$#error $@ 4.7.0 $: "451 TLS policy cannot be applied"

LOCAL_TLS_RCPT
# forcetls: only <OK> lets mail go
R$*			$: $>Forcetls_tls_rcpt $1
R<OK>			$@ OK
R$*			$#error $@ 4.7.0 $: "451 TLS policy cannot be applied"
