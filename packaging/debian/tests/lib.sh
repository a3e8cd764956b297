# Sourced by the tests in this folder, at the top of the source package. They do without systemd, which
# a chroot has not; where it runs, they use the units of the package.

db=/var/lib/forcetls/policy.db
tmp=${AUTOPKGTEST_TMP:-$(mktemp -d)}
chmod 0755 "$tmp"
export PYTHONPATH=tests/e2e PYTHONDONTWRITEBYTECODE=1
declare -A started=() # pid of each program that a test has started
cleanups=()

quiet_log=$tmp/quietly.log
show_logs() { tail -n 20 "$tmp"/*.log; }
. debian/tests/steps.sh

clean_up() {
  local command
  for command in "${cleanups[@]}"; do eval "$command" >/dev/null 2>&1 || true; done
  if [[ ${#started[@]} -gt 0 ]]; then kill "${started[@]}" 2>/dev/null || true; fi
  wait
}
trap clean_up EXIT
has_systemd() { [[ -d /run/systemd/system ]]; }

answer() { # answer SOCKET MAP KEY: the reply of policyd to a lookup
  python3 - "$@" <<'END'
import socket, sys
request = " ".join(sys.argv[2:]).encode()
with socket.socket(socket.AF_UNIX) as daemon:
    daemon.settimeout(10)
    daemon.connect(sys.argv[1])
    daemon.sendall(b"%d:%s," % (len(request), request))
    print(daemon.recv(65536).split(b":", 1)[1].decode()[:-1])
END
}
answers() { [[ $(answer "$1" "$2" "$3") == "$4"* ]]; } # answers SOCKET MAP KEY BEGINNING
listens() { # listens SOCKET
  python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$1"
}

start_daemon() { # start_daemon policyd|milter [OPTION...]
  local name=$1
  shift
  setpriv --reuid forcetls --regid forcetls --init-groups "forcetls-$name" --foreground "$@" \
    2>>"$tmp/$name.log" &
  started[$name]=$!
}
stop_daemon() { # stop_daemon policyd|milter
  if has_systemd; then
    systemctl stop "forcetls-$1.service" forcetls-{map,policy}.socket
  else
    kill "${started[$1]}"
    wait "${started[$1]}" || true
    unset "started[$1]"
  fi
}

milter_log() { if has_systemd; then journalctl --quiet --unit forcetls-milter; else cat "$tmp/milter.log"; fi; }

start_partners() { # start_partners [DOMAIN=KIND...]
  debian/tests/partners "$tmp" "$@" 2>"$tmp/partners.log" &
  started[partners]=$!
  within_60_seconds test -e "$tmp/ready"
}
# The addresses and the authority of the DOMAINs that start_partners was given.
make_known() {
  local ca=/usr/local/share/ca-certificates/forcetls-test.crt
  cp -p /etc/hosts "$tmp/hosts.before"
  cleanups+=("cat '$tmp/hosts.before' >/etc/hosts" "rm $ca" update-ca-certificates)
  cat "$tmp/hosts" >>/etc/hosts
  cp "$tmp/pki/lab-ca.pem" $ca
  quietly update-ca-certificates
}
is_as_the_table_says() { debian/tests/table "$1" compare "$tmp" >"$tmp/compared.log"; } # postfix|sendmail
# How often a message came to 127.0.0.2, the partner with TLS, or to 127.0.0.3, the one without.
arrived_over_tls() { grep -Ec "^127\.0\.0\.2 TLSv[0-9.]+ <$1>" "$tmp/received"; }
arrived_in_clear() { grep -c "clear <$1>" "$tmp/received"; }

# Postfix, bolted on. tls.example is the partner with TLS and clear.example the one without.
postfix_map=/var/spool/postfix/forcetls/map.sock
start_postfix() {
  local copy=$tmp/etc-postfix
  cp -p $db "$tmp/policy.db"
  cp -a /etc/postfix "$copy"
  cleanups+=('postsuper -d ALL' 'postfix stop' "cp -p '$tmp/policy.db' $db.before; mv $db.before $db"
    "rm -rf /etc/postfix; cp -a '$copy' /etc/postfix")
  postconf inet_interfaces=loopback-only myhostname=mail.ours.example mydestination= \
    'transport_maps=inline:{{tls.example=smtp:[127.0.0.2]:2525},{clear.example=smtp:[127.0.0.3]:2525}}'
  if ! has_systemd; then
    install -d -o forcetls -g postfix -m 2750 "${postfix_map%/*}"
    start_daemon policyd
    start_daemon milter
    for name in map policy milter; do
      within_60_seconds listens "/var/spool/postfix/forcetls/$name.sock"
    done
    postfix stop >/dev/null 2>&1 || true
    quietly postfix start
  fi
  within_60_seconds postfix status
  sqlite3 $db "DELETE FROM domain_policy; INSERT INTO domain_policy(domain) VALUES
    ('tls.example'), ('clear.example'), ('[127.0.0.2]:2525'), ('[127.0.0.3]:2525')"
  within_60_seconds answers $postfix_map tls clear.example "OK encrypt "
  quietly forcetls setup --apply
}

send() { # send MESSAGE-ID DOMAIN [HEADER]
  printf '%s\n' "Message-ID: <$1>" "Subject: a test" ${3:+"$3"} "" "A secret." |
    sendmail -f alice@ours.example "user@$2"
}
reason() { # reason DOMAIN: why the mail to it waits
  postqueue -j | python3 -c '
import json, sys
for line in sys.stdin:
    for recipient in json.loads(line)["recipients"]:
        if recipient["address"].endswith("@" + sys.argv[1]):
            print(recipient.get("delay_reason", ""))' "$1"
}
waits_because() { [[ $(reason "$1") == *"$2"* ]]; } # waits_because DOMAIN TEXT
