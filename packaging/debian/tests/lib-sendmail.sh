# Sourced, behind lib.sh, by the tests of Sendmail: the stock one, with the lines that forcetls setup prints.

sockets=/run/forcetls

# The partners are where the mailertable says, without DNS, and the machine may be loaded.
configure_site() { # configure_site MAILERTABLE [LINE-OF-SENDMAIL.MC...]
  cp -a /etc/mail "$tmp/etc-mail"
  cleanups+=("rm -rf /etc/mail; cp -a '$tmp/etc-mail' /etc/mail")
  local no_dns="define(\`confSERVICE_SWITCH_FILE', \`/etc/mail/service.switch-nodns')dnl"
  sed -i "/^FEATURE(\`msp'/i $no_dns" /etc/mail/submit.mc
  cat >"$tmp/before" <<END
define(\`confDOMAIN_NAME', \`mail.ours.example')dnl
FEATURE(\`nocanonify')dnl
FEATURE(\`accept_unresolvable_domains')dnl
FEATURE(\`mailertable')dnl
define(\`confQUEUE_LA', \`1000')dnl
define(\`confREFUSE_LA', \`1000')dnl
define(\`confMAX_DAEMON_CHILDREN', \`0')dnl
$no_dns
END
  printf '%s\n' "${@:2}" >>"$tmp/before"
  sed -i -e "/^MAILER_DEFINITIONS/{
    r $tmp/before
    N
  }" /etc/mail/sendmail.mc
  echo "$1" >/etc/mail/mailertable
  quietly make -C /etc/mail
  makemap hash /etc/mail/mailertable </etc/mail/mailertable
}

bolt_onto_sendmail() {
  local status=0
  forcetls setup --mta sendmail >"$tmp/lines" || status=$?
  [[ $status == 1 ]] || fail "forcetls setup: $status: $(cat "$tmp/lines")"
  quietly python3 -m lab.sendmail_lines <"$tmp/lines"
  quietly make -C /etc/mail
  quietly forcetls setup --mta sendmail
}

start() { # start policyd|milter
  case $1 in
    policyd) socket=map options=(--listen-map "unix:$sockets/map.sock" --listen-policy "unix:$sockets/policy.sock") ;;
    milter) socket=milter options=(--listen "unix:$sockets/milter.sock") ;;
  esac
  if has_systemd; then
    systemctl start forcetls-$socket-sendmail.socket
  else
    install -d -o forcetls -g forcetls -m 0755 $sockets
    start_daemon "$1" "${options[@]}"
  fi
  within_60_seconds listens $sockets/$socket.sock
}
stop() { # stop policyd|milter
  case $1 in policyd) socket=map ;; milter) socket=milter ;; esac
  if has_systemd; then systemctl stop forcetls-$socket-sendmail.socket; else stop_daemon "$1"; fi
}

stop_sendmail() { kill "$(head -n 1 /run/sendmail/mta/sendmail.pid)"; }
start_sendmail() {
  if has_systemd; then
    quietly systemctl restart sendmail
  else
    stop_sendmail 2>/dev/null || true
    within_60_seconds is_free
    quietly sendmail -bd
    cleanups+=(stop_sendmail)
  fi
  within_60_seconds greets
}
is_free() { ! (exec 3<>/dev/tcp/127.0.0.1/25) 2>/dev/null; }
greets() { [[ $(speak) == "220 "* ]]; }

hand_in() { # hand_in MESSAGE-ID DOMAIN [OPTION...]
  printf '%s\n' "Message-ID: <$1>" "Subject: a test" "" "A secret." |
    sendmail -i -f alice@ours.example "${@:3}" "user@$2" >>"$tmp/sendmail.log" 2>&1 || true
}
directly=(-Am -odi) # sendmail(1) itself makes the first attempt to deliver, and returns after it
is_handed_over() { [[ $(sendmail -Ac -bp) != *"user@"* ]]; }
read_reply() { # its last line, from descriptor 3
  local line=
  while [[ $line != [0-9][0-9][0-9]" "* ]] && read -r -t 60 line <&3; do :; done
  echo "${line%$'\r'}"
}
speak() { # speak COMMAND...: an SMTP session with the daemon; its last reply
  local command reply
  exec 3<>/dev/tcp/127.0.0.1/25
  reply=$(read_reply) # the greeting
  for command; do
    printf '%s\r\n' "$command" >&3
    reply=$(read_reply)
  done
  exec 3>&-
  echo "$reply"
}
