# Sourced by the tests in this folder.

data=/var/lib/forcetls
db=$data/policy.db
queue=/var/spool/postfix

quiet_log=/tmp/quietly
show_logs() {
  [[ -d /run/systemd/system ]] || return 0
  systemctl --no-pager --full status 'forcetls*' || true
  journalctl --no-pager -n 60
}
. ./steps.sh

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
