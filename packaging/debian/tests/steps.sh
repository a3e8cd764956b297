# How a test goes on, waits, and fails; sourced by lib.sh and by packaging/test_deb/common.sh. They say
# where the output of a command goes (quiet_log), and what else to show on failure (show_logs).

fail() {
  echo "FAILED: $*" >&2
  show_logs >&2 || true
  exit 1
}
passed() { echo "ok: $*"; }
quietly() { "$@" >"$quiet_log" 2>&1 || { cat "$quiet_log" >&2; fail "$*"; }; }
refused() { ! "$@" >/dev/null 2>&1 || fail "not refused: $*"; }
within_60_seconds() { # within_60_seconds COMMAND...
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  fail "not within 60 seconds: $*"
}
