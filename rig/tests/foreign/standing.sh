#!/usr/bin/env bash
# `bandrig station up`, `shell` and `down`: what a person does who looks around, and what happens after a crash.
#
#   standing.sh BANDRIG
set -u
cd "$(dirname "$0")/../../.." || exit 2
bandrig=$1
work=$(mktemp -d)
trap '"$bandrig" station down virtual >/dev/null 2>&1; rm -rf "$work"' EXIT
failures=0

# try NAME EXIT-CODE WORDS COMMAND…: it ends so and says so.
try() {
    local name=$1 expected=$2 words=$3 code
    shift 3
    "$@" >"$work/said" 2>&1 </dev/null
    code=$?
    if [ "$code" -eq "$expected" ] && { [ -z "$words" ] || grep -qF -- "$words" "$work/said"; }; then
        printf 'ok    %s\n' "$name"
    else
        printf 'WRONG %s: exit code %d for %d, and it says:\n' "$name" "$code" "$expected"
        cat "$work/said"
        failures=$((failures + 1))
    fi
}
station() { "$bandrig" station "$1" virtual "${@:2}"; }
piped() { printf 'echo one\nhostname\nexit 5\n' | "$bandrig" station shell virtual; }
typed() { /usr/bin/python3 rig/tests/foreign/terminal.py "$bandrig" station shell virtual; }
process() { sed -n 1p "$folder/qemu.pid"; }
# wait_for COMMAND…: until it succeeds, at most a minute.
wait_for() {
    local until=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}
sleeps() { station shell -- pgrep -f '[s]leep 4242'; }
sleeps_no_more() { sleeps; [ $? -eq 1 ]; }
interrupted() {
    "$bandrig" station shell virtual -- sleep 4242 &
    wait_for sleeps || echo 'it does not begin'
    kill -INT $!
    wait $!
}
# Killed, but not yet gone or not yet waited for, it has a number and no command.
is_gone() { [ -z "$(tr -d '\0' <"/proc/$1/cmdline")" ]; }
killed() {
    local machine
    machine=$(process)
    kill -9 "$machine" && wait_for is_gone "$machine"
}

station down >/dev/null 2>&1
try 'no shell where nothing is up' 3 'the virtual station is not up' station shell -- true
try 'up' 0 'bandrig station shell virtual' station up
folder=$(sed -n 's/^its logs are in //p' "$work/said")
try 'up once more' 0 'is up already' station up
try 'one command' 0 'Powered: yes' station shell -- bluetoothctl show 00:AA:01:01:00:01
try 'its exit code' 7 'seven' station shell -- sh -c 'echo seven; exit 7'
try 'Ctrl-C' 130 'interrupted' interrupted
try 'what it ends' 0 '' wait_for sleeps_no_more
try 'its folder' 0 "$PWD" station shell -- pwd
try 'the band' 0 '"answer":"seen"' station shell -- /usr/bin/python3 -c '
import os, socket
band = socket.socket(socket.AF_UNIX)
band.connect(os.environ["BAND_SOCKET"])
band.sendall(b"{\"ask\":\"look\"}\n")
print(band.makefile().readline())'
try 'a script' 5 'station' piped
try 'a terminal' 0 'the sum is 42' typed
grep -q '/dev/ttyS1' "$work/said" || { printf 'WRONG the shell has no terminal\n'; failures=$((failures + 1)); }
try 'down' 0 'the virtual station is down' station down
try 'down once more' 0 'the virtual station is not up' station down
[ ! -e "$folder" ] || { printf 'WRONG %s is left\n' "$folder"; failures=$((failures + 1)); }

try 'up again' 0 'is up' station up
try 'a crash' 0 '' killed
try 'a crash is found' 3 'has ended by itself' station shell -- true
try 'and cleaned up' 0 'had ended by itself' station down
if pgrep -f "path=$folder," >/dev/null || [ -e "$folder" ]; then
    printf 'WRONG something of it is left\n'
    failures=$((failures + 1))
fi
[ "$failures" -eq 0 ]
