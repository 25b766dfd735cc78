#!/usr/bin/env bash
# What `bandrig run --station virtual --trace --out OUT` captured, read by tshark: the writes over Bluetooth and the commands in the field.
#
#   captures.sh OUT
set -u
out=${1:?which folder}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# finds FILE WHAT FILTER TIMES [MOST]: tshark finds that at least so often, and at most as often as MOST.
finds() {
    local count expected="at least $4${5:+ and at most $5}"
    if ! tshark -r "$out/$1" -Y "$3" >"$work/seen" 2>"$work/complaints"; then
        printf 'WRONG tshark is not content with %s: %s\n' "$1" "$(tail -n 1 "$work/complaints")"
        failures=$((failures + 1))
        return
    fi
    count=$(grep -c . "$work/seen")
    if [ "$count" -ge "$4" ] && [ "$count" -le "${5:-$count}" ]; then
        printf 'ok    %s: %s: %d\n' "$1" "$2" "$count"
    else
        printf 'WRONG %s: %s: %d, %s expected\n' "$1" "$2" "$count" "$expected"
        failures=$((failures + 1))
    fi
}
# Core 5.4 vol 3 part F 3.4.8: opcodes of ATT.
finds hci.btsnoop 'writes without response' 'btatt.opcode == 0x52' 10
finds hci.btsnoop 'write requests, subscriptions' 'btatt.opcode == 0x12' 3
# What is under way when the radio goes off can cost a controller its hearing.
finds hci.btsnoop 'subscriptions taken back when hanging up' 'btatt.opcode == 0x12 && btatt.value == 00:00' 0 0
finds hci.btsnoop 'notifications' 'btatt.opcode in {0x1b, 0x23}' 10
# The first write of every APDU channel: opening it.
finds hci.btsnoop 'the APDU channel opened' 'btatt.opcode == 0x52 && btatt.value == 01' 1
finds taps.pcapng 'the field' 'iso14443.event == 0xfc' 1
finds taps.pcapng 'commands' 'iso14443.event == 0xfe' 5
finds taps.pcapng 'SELECT of the PPSE' 'iso14443.inf == 00:a4:04:00:0e:32:50:41:59:2e:53:59:53:2e:44:44:46:30:31:00' 1
finds taps.pcapng 'answers' 'iso14443.event == 0xff' 5
# Core 5.4 vol 4 part E 7.7.65: LE Connection Complete, and its enhanced form; at either end of the one connection.
finds hci.btsnoop 'one connection, seen at both ends' 'bthci_evt.le_meta_subevent in {0x01, 0x0a}' 2 2
# times FILE FILTER: when each of these was.
times() { tshark -r "$out/$1" -Y "$2" -T fields -e frame.time_epoch 2>/dev/null; }
connected=$(times hci.btsnoop 'bthci_evt.le_meta_subevent in {0x01, 0x0a}' | tail -n 1)
disconnected=$(times hci.btsnoop 'bthci_evt.code == 0x05' | head -n 1)
taps=$(times taps.pcapng 'iso14443.event in {0xfe, 0xff}')
if [ -n "$taps" ] && printf '%s\n' "$connected" $taps "$disconnected" | sort -c -n; then
    printf 'ok    the tap is between connecting and disconnecting\n'
else
    printf 'WRONG the tap is not between connecting (%s) and disconnecting (%s)\n' "$connected" "$disconnected"
    failures=$((failures + 1))
fi
# pcscd has nothing to say when all goes well.
for log in bluetoothd pcscd btvirt band; do
    if [ -e "$out/station/$log.log" ]; then
        printf 'ok    the log of %s is there\n' "$log"
    else
        printf 'WRONG there is no log of %s\n' "$log"
        failures=$((failures + 1))
    fi
done
[ "$failures" -eq 0 ]
