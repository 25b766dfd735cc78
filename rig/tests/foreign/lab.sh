#!/bin/bash
# The lab's scenarios against a `band` that stands in for a real one: a key from the environment or from a file, and nothing changed.
#
#   bandrig station exec virtual --no-band --limit 400 -- bash rig/tests/foreign/lab.sh
set -u
cd "$(dirname "$0")/../../.." || exit 3
programs=$(dirname "$BANDRIG")
station=fixtures/stations/stand-in.yaml
key=3a91c40e5577d2b80f6619ea24c38d10
work=$(mktemp -d)
failures=0

ok() { printf 'ok      %s\n' "$*"; }
wrong() {
    printf 'FAILED  %s\n' "$*"
    failures=$((failures + 1))
}
# run NAME EXIT-CODE WORDS…: the run ends with that code; its output is in $work/NAME.
run() {
    local name=$1 expected=$2 code
    shift 2
    "$BANDRIG" run --color never --out "$work/$name.out" "$@" >"$work/$name" 2>&1
    code=$?
    [ "$code" -eq "$expected" ] && return
    wrong "$name: exit code $code, $expected expected:"
    tail -n 40 "$work/$name"
}
# says NAME WORDS: its output has them.
says() {
    if grep -qF -- "$2" "$work/$1"; then ok "$1: $2"; else wrong "$1 does not say: $2" && tail -n 20 "$work/$1"; fi
}
# Number of applets and cards in the band, by the laboratory's own eyes.
look() {
    /usr/bin/python3 - "$BAND_SOCKET" <<'PYTHON'
import json, socket, sys
band = socket.socket(socket.AF_UNIX)
band.connect(sys.argv[1])
band.sendall(b'{"ask":"look"}\n')
seen = json.loads(band.makefile().readline())
print(seen["applets"], seen["cards"], seen["paired"])
PYTHON
}

"$programs/band" --ble hci1 --vpcd --key "$key" --cards mastercard-debit --control "$BAND_SOCKET" \
    >"$work/band.out" 2>"$work/band.log" &
band=$!
until=$((SECONDS + 60))
until grep -q '^ready' "$work/band.out"; do
    if [ "$SECONDS" -ge "$until" ] || ! kill -0 "$band" 2>/dev/null; then
        echo 'the band does not come up:'
        cat "$work/band.out" "$work/band.log"
        exit 3
    fi
    busybox usleep 50000
done
before=$(look)

export BAND_KEY=$key
run lab 0 scenarios/lab --station "$station"
says lab ' 0 failed, 0 skipped'
[ "$(look)" = "$before" ] && ok "in the band as before: $before" || wrong "in the band: $(look), and before: $before"

# A person is asked for each tap; where nobody is, that is said.
sed 's/^hands: .*/hands: operator/' "$station" >"$work/by-hand.yaml"
taps='scenarios/lab/the-directory-is-read-in-the-field.yaml scenarios/lab/a-bank-that-does-not-know-the-card.yaml'
/usr/bin/python3 rig/tests/foreign/asked_person.py "$BANDRIG" run --color never $taps --station "$work/by-hand.yaml" >"$work/asked" 2>&1 ||
    wrong "with a person at the terminal: exit code $?"
says asked '3 passed, 0 failed, 0 skipped'
says asked 'please hold the band to the reader `Virtual PCD 00 00`, then press return: '
says asked 'asked 3 times'
run alone 3 $taps --station "$work/by-hand.yaml" </dev/null
says alone 'somebody must hold the band to the reader `Virtual PCD 00 00`, and nobody is at this terminal'

# What could change somebody's own band is not tried.
run spared 4 scenarios/reset scenarios/hostile scenarios/account scenarios/wallet --station "$station"
for capability in cloud swap_account hostile new_band; do
    says spared "has no $capability: "
done

BAND_KEY=ffffffffffffffffffffffffffffffff run stranger 1 scenarios/lab --filter key-lets --station "$station"
says stranger 'wrong_key'

unset BAND_KEY
run unset 3 scenarios/lab --filter key-lets --station "$station"
says unset "the environment variable BAND_KEY must hold the band's key, 32 hex digits, and is not set"

sed 's/^key: .*/key: { file: band.key }/' "$station" >"$work/station.yaml"
run missing 3 scenarios/lab --filter key-lets --station "$work/station.yaml"
says missing "band.key must hold the band's key, 32 hex digits: failed to read it"
echo "${key}00" >"$work/band.key"
run long 3 scenarios/lab --filter key-lets --station "$work/station.yaml"
says long 'holds no key: a key is 32 hex digits'
echo "0x$key" >"$work/band.key"
run file 0 scenarios/lab --filter key-lets --station "$work/station.yaml"

kill "$band"
wait "$band"
rm "$work/band.key"
spaced=$(printf '%s' "$key" | sed 's/../& /g;s/ $//')
if grep -riqE "$key|$spaced" "$work"; then wrong 'the key has been told:' && grep -rilE "$key|$spaced" "$work"; else ok 'the key is nowhere told'; fi
[ "$failures" -eq 0 ] || tail -n 30 "$work/band.log"
rm -rf "$work"
[ "$failures" -eq 0 ]
