#!/bin/bash
# The virtual station without a virtual machine, on a host whose own kernel has virtual controllers: it comes up, is refused where it
# would disturb somebody, and leaves nothing, also after Ctrl-C and after a crash. The host is a guest of the station itself.
#
#   bandrig station exec virtual:qemu --no-band --limit 400 -- bash rig/tests/foreign/own_kernel.sh
set -u
cd "$(dirname "$0")/../../.." || exit 3
work=$(mktemp -d)
. rig/tests/foreign/checked.sh
daemons='bluetoothd btvirt pcscd dbus-daemon band'
scenario=scenarios/activation/add-activate-tap.yaml
three_cases=scenarios/wallet/the-seventh-card-after-one-was-removed.yaml

station() { "$BANDRIG" run "${2-$scenario}" --station "$1" --out "$work/out" >"$work/said" 2>&1; }
ends_with() { [ "$code" -eq "$1" ]; }
says() { grep -F -- "$1" "$work/said"; }
runs() { pgrep -x "$1"; }
none_runs() {
    local each
    for each in $daemons; do ! runs "$each" || return 1; done
}
no_controller() { ! ls /sys/class/bluetooth/hci* 2>/dev/null; }
not_loaded() { [ ! -e /sys/module/hci_vhci ]; }
nothing_is_left() { none_runs && no_controller && not_loaded && [ "$(mounts)" = "$before" ]; }
mounts() { cut -d' ' -f5 /proc/self/mountinfo | sort; }
has_run_a_case() { grep -q case_finished "$work/out/station/events.jsonl"; }
junit_counts() { [ "$(grep -c "<$1 " "$work/out/junit.xml")" -eq "$2" ]; }
is_up() { grep -q '^ready' "$work/out/station/band.out"; }

station virtual:host
code=$?
check 'where a bluetoothd runs the station is refused' ends_with 3
check 'with that reason' says 'cannot run on this machine itself: bluetoothd runs here already'

for each in $daemons; do
    for process in $(runs "$each"); do kill "$process"; done
done
check "this machine's own daemons end" wait_for 20 none_runs
check 'and its controllers' wait_for 20 no_controller
modprobe -r hci_vhci
before=$(mounts)

station virtual
code=$?
check 'the scenario passes without a virtual machine' ends_with 0
check 'which is said' says 'the virtual station comes up on this machine itself'
check 'nothing of it is left' wait_for 10 nothing_is_left

for signal in INT KILL; do
    rm -rf "$work/out"
    station virtual:host &
    run=$!
    check "it comes up before SIG$signal" wait_for 90 is_up
    # The program itself, not the shell that waits for it.
    kill -$signal "$(pgrep -P $run)"
    wait $run
    check "nothing of it is left after SIG$signal" wait_for 20 nothing_is_left
done
rm -rf "$work/out"
station virtual:host "$three_cases" &
run=$!
check 'the first of three cases runs' wait_for 90 has_run_a_case
kill -KILL "$(pgrep -f -- '--station .*stations/virtual.yaml')"
wait $run
code=$?
check 'a run whose program inside is killed ends as station trouble' ends_with 3
check 'which is said' says 'ended with status 137 in the case `'
check 'the reports know all cases' junit_counts testcase 3
check 'the one that ran as broken' junit_counts error 1
check 'the one after it as not run' junit_counts skipped 1
check 'nothing of it is left' wait_for 20 nothing_is_left
rm -rf "$work"
[ "$failures" = 0 ]
