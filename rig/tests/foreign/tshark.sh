#!/usr/bin/env bash
# A payment that `bandrig tap` captured, read by tshark: the blocks of ISO 14443-4, their checksums and the APDUs in them.
#
#   tshark.sh BANDRIG
set -u
cd "$(dirname "$0")/../../.." || exit 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

"$1" tap --amount '4.20 EUR' --capture "$work/tap.pcapng" >"$work/told" || { cat "$work/told"; exit 1; }
tshark -r "$work/tap.pcapng" -O iso14443 -x >"$work/seen" 2>"$work/complaints" || { cat "$work/complaints"; exit 1; }

# sees WORDS TIMES: tshark says so at least that often.
sees() {
    local count
    count=$(grep -c -- "$1" "$work/seen")
    if [ "$count" -ge "$2" ]; then
        printf 'ok    %s: %d\n' "$1" "$count"
    else
        printf 'WRONG %s: %d times, at least %d expected\n' "$1" "$count" "$2"
        failures=$((failures + 1))
    fi
}
sees 'Message: I-block' 10
sees 'CRC: 0x' 10
sees 'Event: Field on' 1
sees 'Event: Field off' 1
# SELECT of the PPSE, and its directory in the answer.
sees 'INF: 00a404000e325041592e5359532e444446303100' 1
sees 'INF: 6f[0-9a-f]*840e325041592e5359532e4444463031a5' 1
if grep -iE 'malformed|bad crc|incorrect|exception' "$work/seen"; then
    printf 'WRONG tshark is not content\n'
    failures=$((failures + 1))
fi
exchanges=$(grep -cE '^ *[0-9]+  (SELECT|GET|READ|GENERATE)' "$work/told")
commands=$(tshark -r "$work/tap.pcapng" -Y 'iso14443.event == 0xfe' 2>/dev/null | grep -c .)
if [ "$commands" -lt "$exchanges" ] || [ "$exchanges" -eq 0 ]; then
    printf 'WRONG %d exchanges were told, %d blocks came from the reader\n' "$exchanges" "$commands"
    failures=$((failures + 1))
fi
[ "$failures" -eq 0 ]
