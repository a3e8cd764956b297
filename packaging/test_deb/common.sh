# Sourced by the tests in this folder.

data=/var/lib/forcetls
db=$data/policy.db
queue=/var/spool/postfix

fail() {
  echo "FAILED: $*" >&2
  if [[ -d /run/systemd/system ]]; then
    systemctl --no-pager --full status 'forcetls*' >&2 || true
    journalctl --no-pager -n 60 >&2
  fi
  exit 1
}
passed() { echo "ok: $*"; }
quietly() { "$@" >/tmp/quietly 2>&1 || { cat /tmp/quietly >&2; fail "$*"; }; }
within_60_seconds() { # within_60_seconds COMMAND...
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  fail "not within 60 seconds: $*"
}
refused() { ! "$@" >/dev/null 2>&1 || fail "not refused: $*"; }
as() { # as USER COMMAND...
  setpriv --reuid "$1" --regid "$(id -g "$1")" --init-groups "${@:2}"
}
ask() { # ask [DOMAIN]: what Postfix is told
  (cd $queue && postmap -q "${1:-bank.example}" socketmap:unix:forcetls/map.sock:tls 2>&1)
}
sign_of_life() { systemctl show --property=WatchdogTimestampMonotonic "$1"; }
has_given_another_sign() { [[ $(sign_of_life "$1") != "$2" ]] && [[ $(systemctl show --property=NRestarts --value "$1") == 0 ]]; }
# gives_signs_of_life SERVICE: systemd's watchdog hears of it again, without a restart.
gives_signs_of_life() { within_60_seconds has_given_another_sign "$1" "$(sign_of_life "$1")"; }
