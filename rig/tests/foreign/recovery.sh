# The world goes away under `band --ble` and under a phone, and comes back: sourced by guest.sh.
#
# Each trouble is named by both, and when it is over the band is there again by itself and a phone is let in and answered. Nobody
# manages the daemons of a virtual station: where a service manager does, it may be faster.

bluez_process() {
    dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetConnectionUnixProcessID string:org.bluez |
        sed -n 's/.*uint32 //p'
}
bluez_is_up() { [ -n "$(bluez_process)" ]; }
# command_of PROCESS: into `command`.
command_of() { mapfile -d '' command <"/proc/$1/cmdline"; }
manage() {
    until "$@" >/dev/null 2>&1; do
        printf 'crash\n' >>"$work/crashes"
    done
} 2>/dev/null
crashes() { cat "$work/crashes" 2>/dev/null | wc -l; }
manager=

# --- what can go away, and how it comes back

kill_bluez() {
    local process
    process=$(bluez_process)
    [ -n "$process" ] || return 1
    command_of "$process"
    kill -KILL "$process"
}
start_bluez() {
    # A service manager may have done it already; where there is none, this is it.
    wait_for 3 bluez_is_up && return
    manage "${command[@]}" &
    manager=$!
}

no_adapter() { ! [ -e /sys/class/bluetooth/$adapter ]; }
has_adapter() { hciconfig $adapter && hciconfig $phone; }
pull_out() {
    controllers=$(pgrep -x btvirt)
    command_of "$controllers" && kill "$controllers" && wait_for 20 no_adapter
}
plug_in() {
    local try
    # The kernel gives a controller two seconds for its first answer and does not ask again.
    for try in 1 2 3; do
        "${command[@]}" >/dev/null 2>&1 &
        controllers=$!
        wait_for 15 has_adapter && return
        kill "$controllers"
        wait_for 20 no_adapter
    done
    return 1
}

is_on() { property Powered | grep -q 'boolean true'; }
switch() {
    dbus-send --system --print-reply --dest=org.bluez /org/bluez/$adapter org.freedesktop.DBus.Properties.Set \
        string:org.bluez.Adapter1 string:Powered variant:boolean:"$1"
}
switch_off() { switch false >/dev/null; }
# What somebody has switched off stays off.
switch_on() {
    ! wait_for 2 is_on || { say "FAILED  it has switched the adapter on itself"; return 1; }
    switch true >/dev/null
}

bus_is_up() { dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId; }
no_bus() { ! bus_is_up; }
no_bluez() { ! pgrep -x bluetoothd; }
end_bus() {
    local process bus
    process=$(bluez_process) bus=$(pgrep -x dbus-daemon)
    [ -n "$process" ] && [ -n "$bus" ] || return 1
    # bluetoothd has to come back after it.
    [ -z "$manager" ] || kill "$manager"
    command_of "$process" && bluez=("${command[@]}")
    command_of "$bus"
    kill "$bus" && wait_for 20 no_bus
    # It goes by itself too, in ten seconds.
    kill -KILL "$process" 2>/dev/null
    wait_for 20 no_bluez
}
start_bus() {
    "${command[@]}" && wait_for 20 bus_is_up || return 1
    manage "${bluez[@]}" &
    manager=$!
}

# --- what the band and a phone make of it

lines() { grep -c -- "$1" "$2"; }
more_lines() { [ "$(lines "$1" "$2")" -gt "$3" ]; }

# trouble BREAK MEND WORDS [LOST]: while it is broken the band says WORDS, and a phone that is being held that the link is lost, LOST.
trouble() {
    local served named lost
    served=$(lines '^bluetooth: on' "$work/band.out")
    named=$(lines "$3" "$work/band.log")
    lost=$(lines "^lost .*${4-}" "$work/hold.out" 2>/dev/null)
    $1 || { say "FAILED  $1"; return 1; }
    wait_for 20 more_lines "$3" "$work/band.log" "$named" || { say "FAILED  the band has not noticed: $3"; return 1; }
    say "ok      the band says: $3"
    if [ $# -eq 4 ]; then
        wait_for 20 more_lines "^lost .*$4" "$work/hold.out" "$lost" || { say "FAILED  the phone has not noticed: $4"; return 1; }
        say "ok      the phone says: $4"
    fi
    "$2" || { say "FAILED  $2"; return 1; }
    wait_for 60 more_lines '^bluetooth: on' "$work/band.out" "$served" || { say "FAILED  the band has not come back"; return 1; }
    say "ok      the band has come back by itself"
}

# end_connection N: the N-th last one of the band to the bus, and nothing else.
end_connection() { /usr/bin/python3 $here/cut.py "$band" "$1"; }
nothing() { :; }
# Each connection that a band just started serves with, by itself: what it hears of the world by, what it asks by, and the table's.
cuts() {
    local each
    for each in 3 2 1; do
        stop_band && start_band || { say 'FAILED  the band does not end'; return 1; }
        trouble "end_connection $each" nothing 'the system bus cannot be reached' || return 1
    done
}

restart() { trouble kill_bluez start_bluez 'bluetoothd is not running'; }

# The band's memory in KiB, its threads, its open files.
resources() {
    set -- $(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p; s/^Threads:[[:space:]]*//p' "/proc/$band/status") "/proc/$band/fd"/*
    printf '%s %s %s' "$1" "$2" $(($# - 2))
}
# flat BEFORE AFTER: pages of its allocator at most, and a connection that still ends.
flat() {
    set -- $1 $2
    [ "$4" -le $(($1 + 1024)) ] && [ "$5" -le "$2" ] && [ "$6" -le $(($3 + 4)) ]
}
phone_is_served() {
    wait_for 90 more_lines '^ready' "$work/hold.out" "$1" || { say 'FAILED  no phone is let in'; cat "$work/hold.out"; return 1; }
    say 'ok      a phone is let in and answered'
}

# A run whose adapter is pulled out is broken, says so, and ends.
adapter_gone_in_a_run() {
    local opened run code
    printf 'band: real\nkey: { env: BAND_KEY }\nphone: { ble: { adapter: %s, address: "%s" } }\nhands: operator\n' \
        $phone "$address" >"$work/station.yaml"
    opened=$(lines ' channel_opened$' "$work/band.log")
    BAND_KEY=$key timeout 120 "${BANDRIG:-$programs/bandrig}" run $here/held.yaml --station "$work/station.yaml" --color never \
        --out "$work/run" >"$work/run.out" 2>&1 </dev/null &
    run=$!
    wait_for 60 more_lines ' channel_opened$' "$work/band.log" "$opened" && pull_out || { say 'FAILED  the run does not begin'; return 1; }
    wait $run
    code=$?
    plug_in || { say 'FAILED  plug_in'; return 1; }
    # That it is gone, or, when the phone has tried once more, that it is not there.
    if [ $code -ne 3 ] || ! grep -Eq "adapter $phone is gone|no Bluetooth adapter $phone" "$work/run.out"; then
        say "FAILED  a run whose adapter goes ends with $code"
        cat "$work/run.out"
        return 1
    fi
    say "ok      a run ends with $code: $(grep -m1 -o "adapter $phone is gone.*" "$work/run.out")"
}

# Whether the system bus is ours to end, as in the virtual station.
has_own_bus() { [ ! -d /run/systemd/system ] || { say "skipped recovery: the system bus of this machine is not ours to end"; return 1; }; }

# All there is, in turn, with one phone throughout.
recovery() {
    has_own_bus || exit 3
    local round rounds=${ROUNDS:-2} ready=0 before
    "$BLE_SUITE" --adapter $phone --address "$address" --key $key hold --times $((rounds * 4)) >"$work/hold.out" 2>&1 &
    local hold=$!
    for ((round = 1; round <= rounds; round++)); do
        say "        round $round; the band's memory (VmRSS in KiB), threads, files: $(resources)"
        phone_is_served $((ready++)) && trouble kill_bluez start_bluez 'bluetoothd is not running' 'bluetoothd is not running' &&
            phone_is_served $((ready++)) && trouble pull_out plug_in "adapter $adapter is gone" "adapter $phone is gone" &&
            phone_is_served $((ready++)) && trouble switch_off switch_on "adapter $adapter was switched off" 'the link alone' &&
            phone_is_served $((ready++)) && trouble end_bus start_bus 'the system bus cannot be reached' 'the system bus cannot be reached' ||
            { kill $hold; return 1; }
        # D-Bus connections of earlier rounds end by themselves within a minute; after half of the rounds as many go as come.
        [ "$round" -ne $((rounds / 2)) ] || before=$(resources)
    done
    phone_is_served $ready && wait $hold || { say 'FAILED  the phone'; return 1; }
    if [ -n "${before-}" ]; then
        local after
        after=$(resources)
        flat "$before" "$after" || { say "FAILED  memory, threads, files: $before after half of the rounds, $after after all"; return 1; }
        say "ok      memory (VmRSS in KiB), threads, files: $before after half of the rounds, $after after all"
    fi
    adapter_gone_in_a_run
}
