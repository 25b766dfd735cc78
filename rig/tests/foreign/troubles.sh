#!/usr/bin/env bash
# Every trouble that a reader, a card, another program or pcscd itself can give, provoked with a real pcscd: the terminal names it and
# says what to do (exit code 3), and a scenario is broken by it and not failed. Wants to be run by `.ci/with-pcscd`: the pcscd there is
# killed, and others with a driver of ours (`troubled_reader.c`) beside vpcd take its place.
#
#   troubles.sh BINARIES PYTHON    BINARIES: the folder of `bandrig` and `band`, built with all features; PYTHON: with pyscard
set -u
cd "$(dirname "$0")/../../.." || exit 2
binaries=$1 python=$2
work=$(mktemp -d)
pcscd= band= holder=
trap '{ kill -9 $pcscd $band $holder; wait $pcscd $band $holder; } 2>/dev/null; rm -rf "$work"' EXIT
export PATH=$PATH:/usr/sbin:/sbin
reader='Troubled reader 00 00' virtual='Virtual PCD 00 00'

failures=0
ok() { printf 'ok    %s\n' "$*"; }
wrong() {
    printf 'WRONG %s\n' "$1"
    sed 's/^/      /' "$2"
    failures=$((failures + 1))
}
# expect NAME CODE WORDS COMMAND…: it ends with that code and says the words.
expect() {
    local name=$1 code=$2 words=$3 got
    shift 3
    "$@" >"$work/said" 2>&1 </dev/null
    got=$?
    if [ "$got" -ne "$code" ]; then
        wrong "$name: exit code $got, $code expected" "$work/said"
    elif ! grep -qF -- "$words" "$work/said"; then
        wrong "$name does not say: $words" "$work/said"
    else
        ok "$name: $words"
    fi
}
behave() { printf '%s\n' "$1" >"$work/behaviour.new" && mv "$work/behaviour.new" "$work/behaviour"; }
end_pcscd() {
    kill -9 "$pcscd" 2>/dev/null
    wait "$pcscd" 2>/dev/null
    rm -f /run/pcscd/pcscd.pid /run/pcscd/pcscd.comm
}
# A pcscd that has not seen any trouble yet.
fresh_pcscd() {
    end_pcscd
    pcscd --foreground --config "$work/readers" >"$work/pcscd.log" 2>&1 &
    pcscd=$!
    local deadline=$((SECONDS + 30))
    until [ -S /run/pcscd/pcscd.comm ]; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            wrong 'pcscd did not start' "$work/pcscd.log"
            exit 1
        fi
        sleep 0.05
    done
}
tap() { timeout 60 "$binaries/bandrig" tap --color never --amount '4.20 EUR' --patience 2 --reader "$1"; }
# The scenario at the bench that has nothing but this reader.
bench() {
    printf 'band: real\ntap: { pcsc: { reader: %s } }\n' "$1" >"$work/bench.yaml"
    timeout 60 "$binaries/bandrig" run --color never --out "$work/out" --station "$work/bench.yaml" "$2"
}
# broken NAME WORDS [SCENARIO]: by this the case is broken, not failed.
broken() {
    expect "$1, in a scenario" 3 "$2" bench "$reader" "$work/${3-two-commands}.yaml"
    grep -q '0 passed, 0 failed, 1 broken' "$work/said" || wrong "$1: the case is not broken" "$work/said"
}
# trouble NAME BEHAVIOUR WORDS: of the terminal by itself, and in a scenario.
trouble() {
    behave "$2"
    fresh_pcscd
    expect "$1, at the terminal" 3 "$3" tap "$reader"
    behave card
    behave "$2"
    fresh_pcscd
    broken "$1" "$3"
}
cat >"$work/two-commands.yaml" <<'YAML'
scenario: two commands at a reader
given: { account: nobody }
steps:
  - apdu: { via: contactless, send: [00 A4 04 00 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00, 00 A4 04 00 07 A0 00 00 00 04 10 10 00] }
    expect: { sw: 90 00 }
YAML
cat >"$work/extended.yaml" <<'YAML'
scenario: a command of extended length
given: { account: nobody }
steps:
  - apdu: { via: contactless, send: EXTENDED }
    expect: { sw: 67 00 }
YAML
# SELECT with 300 bytes for a name.
sed -i "s/EXTENDED/00 A4 04 00 00 01 2C $(printf 'A5 %.0s' {1..300})/" "$work/extended.yaml"

mkdir "$work/readers" && cp /etc/reader.conf.d/vpcd "$work/readers/"
cc -shared -fPIC -I/usr/include/PCSC -o "$work/troubled_reader.so" rig/tests/foreign/troubled_reader.c || exit 1
cat >"$work/readers/troubled" <<CONF
FRIENDLYNAME "Troubled reader"
DEVICENAME $work/behaviour
LIBPATH $work/troubled_reader.so
CHANNELID 0
CONF
behave card
pcscd=$(tr -d '\0' </run/pcscd/pcscd.pid)
end_pcscd

expect 'without pcscd' 3 'pcscd does not run; start it' tap "$reader"
broken 'without pcscd' 'pcscd does not run; start it'
fresh_pcscd

expect 'a bench with nothing but a reader' 0 '1 passed' bench "$reader" "$work/two-commands.yaml"
expect 'a reader that is not there' 3 'no reader `Identiv`; there are' tap Identiv
trouble 'no card' absent "no card in the reader \`$reader\` within"
trouble 'a mute card' mute 'the card does not answer; take it away and hold it there again'
trouble 'a card that falls silent' silent 'the card does not answer; take it away and hold it there again'
trouble 'a card that leaves in the middle' leaves 'the card left the reader; hold the band still until the tap is done'
trouble 'a reader unplugged in the middle' unplugged "the reader \`$reader\` is gone; plug it in again and repeat the run"
trouble 'a reader that hangs' hangs 'the reader has not answered within 10s; unplug it, or start pcscd again'
trouble 'pcscd ends in the middle' dies 'pcscd ended in the middle; start it again and repeat the run'

behave short
fresh_pcscd
broken 'a reader without extended length' 'the reader takes no command of 307 bytes; use one that takes extended length' extended

behave card
fresh_pcscd
"$python" - "$reader" "$work/held" <<'PYTHON' &
import sys, threading
from smartcard.scard import *
_, context = SCardEstablishContext(SCARD_SCOPE_USER)
result, card, _ = SCardConnect(context, sys.argv[1], SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_ANY)
if result == SCARD_S_SUCCESS:
    open(sys.argv[2], "w").close()
threading.Event().wait()
PYTHON
holder=$!
until [ -e "$work/held" ] || ! kill -0 "$holder"; do sleep 0.05; done
taken='another program has the card to itself; end it'
expect 'another program has the card' 3 "$taken" tap "$reader"
broken 'another program has the card' "$taken"
kill "$holder"
wait "$holder" 2>/dev/null
holder=

# The virtual reader carries extended length, to the card's own answer.
mkfifo "$work/band.out"
"$binaries/band" --vpcd --cards mastercard-debit >"$work/band.out" 2>"$work/band.err" &
band=$!
exec {lines}<"$work/band.out"
while read -r -t 60 line <&"$lines"; do
    [ "$line" = ready ] && break
done
[ "$line" = ready ] || wrong 'the band did not come up' "$work/band.err"
expect 'extended length where the reader carries it' 0 '1 passed' bench "$virtual" "$work/extended.yaml"

[ "$failures" -eq 0 ] || { printf '%d wrong\n' "$failures"; exit 1; }
printf 'all as it should be\n'
