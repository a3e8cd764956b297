# Sourced by the tests in this folder, after common.sh: whose the files are, and what that is good for.

# The list in forcetls(8): PATH OWNER:GROUP MODE.
owners() {
  zcat /usr/share/man/man8/forcetls.8.gz |
    sed -nE '/^\.SH OWNERSHIP/,/^\.SH EXAMPLES/s,^\.IR (\S+) " \\- (\S+) 0?([0-7]+)"$,\1 \2 \3,p' |
    sed 's/\\-/-/g'
}

# expect_owners PATTERN...: all that is there is in the list and as the list says, and of the list there
# is what matches a PATTERN.
expect_owners() {
  local path pattern file
  while read -r path _; do
    for pattern in "$@"; do
      # shellcheck disable=SC2053
      if [[ $path == $pattern ]]; then compgen -G "$path" >/dev/null || fail "there is no $path"; fi
    done
  done < <(owners)
  while read -r file; do expect_owner "$file"; done < <(
    find /etc/forcetls $data /etc/mail/m4/forcetls* $queue/forcetls /run/forcetls 2>/dev/null)
}

expect_owner() { # expect_owner FILE
  local path wanted
  while read -r path wanted; do
    # shellcheck disable=SC2053
    if [[ $1 == $path ]]; then
      [[ $(stat -c '%U:%G %a' "$1") == "$wanted" ]] ||
        fail "$1 is $(stat -c '%U:%G %a' "$1"), forcetls(8) says $wanted"
      return
    fi
  done < <(owners)
  fail "$1 is not in forcetls(8)"
}

expect_policy_out_of_reach() { # expect_policy_out_of_reach USER...
  local user attempt before
  before=$(cksum $db && ls -ldi $data && ls -li $data)
  for user in "$@"; do
    quietly as "$user" true
    for attempt in "touch $data/x" "rm $db" "mv $db $data/y" "cp /dev/null $db" "ln -sf /tmp/forged $db" \
      "touch $db-journal" "chmod 0666 $db" "mv $data $data.old" "ln -sfT /tmp $data" \
      "sqlite3 $db VACUUM" "cp /dev/null /etc/forcetls/forcetls.conf" "touch /etc/forcetls/x" \
      "cp /dev/null /etc/mail/m4/forcetls.m4" "mv $queue/forcetls $queue/x"; do
      refused as "$user" $attempt
    done
    refused as "$user" sqlite3 $db "DELETE FROM domain_policy"
  done
  [[ $before == $(cksum $db && ls -ldi $data && ls -li $data) ]] || fail "the policy has changed"
}

can_connect() { # can_connect USER SOCKET
  as "$1" python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$2"
}

# expect_sockets_for USER... -- STRANGER...
expect_sockets_for() {
  local name user allowed=yes
  for user in "$@"; do
    if [[ $user == -- ]]; then allowed=no; continue; fi
    for name in map policy milter; do
      if [[ $allowed == yes ]]; then
        quietly can_connect "$user" $queue/forcetls/$name.sock
      else
        refused can_connect "$user" $queue/forcetls/$name.sock
      fi
      [[ $user == root ]] || refused as "$user" rm $queue/forcetls/$name.sock
    done
  done
}
