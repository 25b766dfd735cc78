#!/bin/bash
# Foreign clients and our own phone against `band --ble`, over real BlueZ. For any machine where D-Bus and bluetoothd are
# up with linked controllers, the phone's hci0 and the band's hci1: `btvirt -l2` gives them.
#
#   bandrig station exec virtual --no-band --limit 900 -- bash rig/tests/foreign/guest.sh [PART…]
#
# Parts, all of the first ones when none is named:
#   table gatttool bluetoothctl bleak find phone
#   another      a second band on the same adapter
#   crowded      the table once more, where another program's service is in the place of the band's first one
#   figures      a few round trips beside those of an echo server, and whose time it is while a card is added; told, not judged
#   killed       a band that could not say good-bye
#   state        the same, with a file for what it knows: the key too
#   cuts         each of the band's connections to the bus is ended by itself
#   restart      bluetoothd
#   still        the band is stopped for a while, which bluetoothd 5.66 may not survive: after restart, which starts it anew each time
#   recovery     bluetoothd, the adapter, its power and the system bus go away, ROUNDS times, 2 by default, where the bus is nobody else's
#   hostile      by itself, with a second phone and a device of that one (`--controllers 4 --limit 540`): everything that no phone should
#                do, in at most five minutes, then bluetoothd killed in the middle and a good phone at the end; WRITES says how many
#                commands it throws at the band, 5000 by default
#   speed        by itself, with a release build: the figures of many rounds against their goals
# Prints a line per check, `ok` or `FAILED`, one `PASS` or `FAIL` per part, and at the end how many of each. Exit code 0 when all passed,
# 1 when one failed, 3 when there was nothing to test: no controllers, no band.
#
# BAND and BLE_SUITE name the programs (the folder of `$BANDRIG`, or target/debug), VENV the Python environment with requirements.txt.
set -u
cd "$(dirname "$0")/../../.." || exit 3
here=rig/tests/foreign
target=${CARGO_TARGET_DIR:-target}
programs=${BANDRIG:+$(dirname "$BANDRIG")}
programs=${programs:-$target/debug}
[ -n "${BAND-}" ] || BAND=$programs/band
[ -n "${BLE_SUITE-}" ] || BLE_SUITE=$programs/examples/ble_suite
[ -n "${VENV-}" ] || VENV=$target/foreign-venv
export PYTHONDONTWRITEBYTECODE=1
key=30313233343536373839404142434445
phone=hci0 adapter=hci1 second=hci2 other=hci3
need() {
    local each
    for each; do
        hciconfig "$each" >/dev/null 2>&1 || { printf 'there is no controller %s here\n' "$each"; exit 3; }
    done
}
# property NAME: of the band's adapter.
property() {
    dbus-send --system --print-reply=literal --dest=org.bluez /org/bluez/$adapter org.freedesktop.DBus.Properties.Get \
        string:org.bluez.Adapter1 "string:$1"
}
is_advertised() {
    dbus-send --system --print-reply=literal --dest=org.bluez /org/bluez/$adapter org.freedesktop.DBus.Properties.Get \
        string:org.bluez.LEAdvertisingManager1 string:ActiveInstances | grep -q 'byte 1'
}
address_of() { hciconfig "$1" | sed -n 's/.*BD Address: \([0-9A-F:]*\).*/\1/p'; }
need $phone $adapter
address=$(address_of $adapter)
work=$(mktemp -d)
band= passed=0 failed=0
# What the band is told of itself.
known=(--key $key)

# All that is said is kept: the lines are counted at the end.
say() { printf '%s\n' "$*" | tee -a "$work/said"; }

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.05
    done
}

start_band() {
    "$BAND" --ble $adapter "${known[@]}" --log "${1:-info}" >"$work/band.out" 2>"$work/band.log" &
    band=$!
    wait_for 60 grep -q '^ready' "$work/band.out" && return
    say "the band does not come up:"
    cat "$work/band.out" "$work/band.log"
    exit 3
}

stop_band() {
    [ -n "$band" ] || return 0
    kill -TERM "$band" 2>/dev/null
    wait "$band"
    local status=$?
    band=
    return $status
}

finish() {
    stop_band
    [ "$failed" = 0 ] || { say "the band said:"; tail -n 40 "$work/band.log"; }
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# verdict NAME STATUS [WORDS]
verdict() {
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        say "PASS    $1${3-}"
    else
        failed=$((failed + 1))
        say "FAIL    $1${3-}"
    fi
}

# part NAME SECONDS COMMAND…
part() {
    local name=$1 limit=$2 began=$SECONDS crashes status
    shift 2
    say "--- $name"
    crashes=$(crashes)
    timeout -k 5 "$limit" "$@" 2>&1 | tee -a "$work/said"
    status=${PIPESTATUS[0]}
    # 3: the world was in the way. bluetoothd 5.66 has its own faults.
    if [ "$status" -eq 3 ] && [ "$(crashes)" -gt "$crashes" ]; then
        say "        bluetoothd crashed and was started anew; once more"
        timeout -k 5 "$limit" "$@" 2>&1 | tee -a "$work/said"
        status=${PIPESTATUS[0]}
    fi
    [ "$status" -ne 124 ] || say "FAILED  $name: not done within $limit s"
    kill -0 "$band" 2>/dev/null || { say "FAILED  $name: the band is gone"; status=1; }
    verdict "$name" "$status" " ($((SECONDS - began)) s)"
}

phone() { part "$1" 120 "$BLE_SUITE" --adapter $phone --address "$address" --key $key add-card; }
# speed NAME SECONDS [OPTION…]
speed() {
    local name=$1 limit=$2
    shift 2
    "$BLE_SUITE" echo $adapter >"$work/echo.out" 2>&1 &
    local echo=$!
    wait_for 60 grep -q '^ready' "$work/echo.out" || { say "the echo server does not come up"; exit 3; }
    part "$name" "$limit" "$BLE_SUITE" --adapter $phone --address "$address" --key $key --pid "$band" speed "$@"
    kill $echo 2>/dev/null
}
memory() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$band/status"; }
python() { part "$1" 120 "$VENV/bin/python" "$here/$2" $phone "$address"; }

. $here/recovery.sh

if [ $# -eq 0 ]; then
    set -- table another crowded gatttool bluetoothctl bleak find phone figures killed state cuts restart still
    if has_own_bus; then set -- "$@" recovery; fi
fi
alias=$(property Alias)
start_band
grep -q "^band: Mi Smart Band 4, $address, serial " "$work/band.out" && grep -q '^key: ' "$work/band.out" && ! grep -qi $key "$work/band.out"
verdict 'the band says its name, its address, its serial number, and of its key no digit' $?
for what in "$@"; do
    case $what in
        table) python table served_table.py ;;
        another)
            say "--- another band"
            timeout 60 "$BAND" --ble $adapter --key $key >"$work/another.out" 2>&1
            [ $? -eq 3 ] && grep -q "^band: another band serves on adapter $adapter: " "$work/another.out"
            verdict 'a second band on the same adapter is refused by name' $?
            phone 'phone of the first one'
            ;;
        crowded)
            # Another program's service is where the band's first one would be.
            stop_band
            "$BLE_SUITE" echo $adapter --handle 20 >"$work/echo.out" 2>&1 &
            echo=$!
            wait_for 60 grep -q '^ready' "$work/echo.out" || { say "the echo server does not come up"; exit 3; }
            start_band debug
            part 'crowded table' 120 "$VENV/bin/python" $here/served_table.py $phone "$address" 0x1A
            grep -q 'unlike the band: handles below 0x1A are given by bluetoothd' "$work/band.log"
            verdict 'the band says which handles it has not got' $?
            kill $echo
            stop_band && start_band
            ;;
        gatttool) python gatttool gatttool_client.py ;;
        bluetoothctl) python bluetoothctl bluetoothctl_client.py ;;
        bleak) python bleak bleak_client.py ;;
        find) part find 120 "$BLE_SUITE" --adapter $phone --address "$address" find ;;
        phone) phone phone ;;
        figures) speed figures 120 --blocks 2 --adds 1 --only-tell ;;
        killed)
            # One that could not say good-bye leaves its name at the adapter.
            kill -KILL "$band"
            wait "$band" 2>/dev/null
            start_band
            phone 'phone after the band was killed'
            ;;
        state)
            stop_band
            known=(--key $key --state "$work/band.state")
            start_band
            phone 'phone of a band with a state file'
            first=$(grep '^band: ' "$work/band.out")
            kill -KILL "$band"
            wait "$band" 2>/dev/null
            known=(--state "$work/band.state")
            start_band
            [ "$(grep '^band: ' "$work/band.out")" = "$first" ]
            verdict 'a band is the same one after it was killed' $?
            phone 'phone that still has its key'
            stop_band
            known=(--key $key)
            start_band
            ;;
        cuts)
            say "--- cuts"
            began=$SECONDS
            cuts
            verdict cuts $? " ($((SECONDS - began)) s)"
            phone 'phone after the cuts'
            ;;
        restart)
            say "--- restart"
            restart
            verdict restart $?
            phone 'phone after the restart'
            ;;
        still)
            for meanwhile in leave request commands; do
                part "still $meanwhile" 60 "$BLE_SUITE" --adapter $phone --address "$address" --pid "$band" still $meanwhile
                # A phone that has left and is taken for there would be forgotten by bluetoothd after thirty seconds.
                wait_for 15 is_advertised
                verdict "the band advertises after that" $?
            done
            phone 'phone after the band stood still'
            ;;
        recovery)
            say "--- recovery"
            began=$SECONDS
            recovery
            verdict recovery $? " ($((SECONDS - began)) s)"
            phone 'phone after all of that'
            ;;
        hostile)
            need $second $other
            "$BLE_SUITE" echo $other --advertise >"$work/echo.out" 2>&1 &
            echo=$!
            wait_for 60 grep -q '^ready' "$work/echo.out" || { say "the second phone's device does not come up"; exit 3; }
            phone 'a good phone'
            before=$(memory)
            part hostile 300 "$BLE_SUITE" --adapter $phone --address "$address" --key $key --pid "$band" \
                hostile --second $second --other "$(address_of $other)" --writes "${WRITES:-5000}"
            grep -q 'turned away' "$work/band.log"
            verdict 'the band says that it has turned the second phone away' $?
            say "--- restart"
            restart
            verdict restart $?
            phone 'the next good phone'
            kill $echo 2>/dev/null
            say "memory of the band (VmRSS): $before KiB after the first phone, $(memory) KiB after the last"
            ;;
        speed) speed speed 300 ;;
        *) say "there is no part $what"; exit 2 ;;
    esac
done
# Stopped as a service manager does, it says so with a zero and leaves the adapter as it was.
stop_band
verdict 'clean stop' $?
[ "$(property Alias)" = "$alias" ]
verdict "the adapter has its own name back" $?
say "$passed parts passed, $failed failed; $(grep -c '^ok ' "$work/said") checks ok, $(grep -c '^FAILED ' "$work/said") failed"
[ "$failed" = 0 ]
