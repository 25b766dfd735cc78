#!/usr/bin/env bash
# The band in a reader for long, and when pcscd is killed under it. Wants to be run by `.ci/with-pcscd`: the pcscd there is killed.
#
#   endurance.sh BINARIES PYTHON [COMMANDS]
#
# Two million commands take half an hour and run out the counters of three cards.
set -u
cd "$(dirname "$0")/../../.." || exit 2
binaries=$1 python=$2 commands=${3-5000}
# Each pays 65535 times.
cards=mastercard-debit,mastercard-gold,mastercard-travel,mastercard-business,mastercard-student,mastercard-prepaid
work=$(mktemp -d)
band=
started=
trap 'kill -9 $band $started 2>/dev/null; rm -rf "$work"' EXIT
wrong() {
    printf 'WRONG %s\n' "$*"
    cat "$work/band.err"
    exit 1
}
endure() {
    timeout "$((600 + $1 / 100))" "$python" rig/tests/foreign/endure_pyscard.py 'Virtual PCD 00 00' "$band" "$1"
}

mkfifo "$work/band.out"
"$binaries/band" --vpcd --cards "$cards" --state "$work/band.json" >"$work/band.out" 2>"$work/band.err" &
band=$!
exec {lines}<"$work/band.out"
while read -r -t 60 line <&"$lines"; do
    [ "$line" = ready ] && break
done
[ "$line" = ready ] || wrong 'the band did not come up'

endure "$commands" || wrong 'the band did not endure'

mkdir "$work/readers" && cp /etc/reader.conf.d/vpcd "$work/readers/"
for time in 1 2; do
    kill -9 "$(tr -d '\0' </run/pcscd/pcscd.pid)" || wrong 'there is no pcscd to kill'
    rm -f /run/pcscd/pcscd.pid /run/pcscd/pcscd.comm
    PATH=$PATH:/usr/sbin pcscd --foreground --config "$work/readers" >/dev/null 2>&1 &
    started=$!
    deadline=$((SECONDS + 30))
    until [ -S /run/pcscd/pcscd.comm ]; do
        [ "$SECONDS" -lt "$deadline" ] || wrong 'pcscd did not start again'
        sleep 0.05
    done
    endure 100 || wrong "the band is not in the reader of the pcscd that was started again ($time)"
done

kill -TERM "$band"
wait "$band" || wrong "the band ended with exit code $?"
band=
grep -q 'stopped' "$work/band.err" || wrong 'the band did not say that it stopped'
[ -s "$work/band.json" ] || wrong 'the band left no state'
printf 'all as it should be\n'
