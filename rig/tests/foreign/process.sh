#!/usr/bin/env bash
# A virtual station is gone, with each process of its own, when who started it is: after the task, after Ctrl-C, after a crash. Two at the
# same time keep what they say apart.
#
#   process.sh BANDRIG uml|qemu
set -u
cd "$(dirname "$0")/../../.." || exit 2
bandrig=$1 kind=$2
work=$(mktemp -d)
trap 'pkill -KILL -f "$ours"; rm -rf "$work"' EXIT
. rig/tests/foreign/checked.sh

case $kind in
    # Each process of its guest is one of ours as well.
    uml) ours="uml_dir=$work" least=6 ;;
    qemu) ours="qemu-system.*path=$work" least=1 ;;
esac
processes() { pgrep -f "$ours"; }
many() { [ "$(processes | wc -l)" -ge $least ]; }
none() { ! processes; }
is_up() { grep -q '^up' "$work/out/task.out" && many; }
ends_with() { [ "$code" -eq "$1" ]; }
run() { "$bandrig" station exec "virtual:$kind" --out "$work/out" -- bash -c "$1" >"$work/said" 2>&1; }

run 'exit 5'
code=$?
check 'the exit code of the task comes out' ends_with 5
check 'and nothing is left of the machine' none
for signal in INT KILL; do
    rm -rf "$work/out"
    run 'echo up; exec sleep 600' &
    shell=$!
    check "it comes up before SIG$signal" wait_for 60 is_up
    "$bandrig" station exec "virtual:$kind" --out "$work/out" -- true >"$work/other" 2>&1
    check 'another one does not write to its folder' grep -q "another bandrig writes to $work/out now" "$work/other"
    # The program itself, not the shell that waits for it.
    kill -$signal "$(pgrep -P $shell)"
    wait $shell
    code=$?
    [ $signal != INT ] || check 'Ctrl-C is told as 130' ends_with 130
    check "nothing is left of the machine after SIG$signal" wait_for 20 none
done
# Two machines at once, and what they find is told while they run.
two_are_up() { [ "$(processes | wc -l)" -ge $((2 * least)) ]; }
is_told() { grep -q '^  passed  ' "$work/said" && two_are_up; }
for signal in INT KILL; do
    rm -rf "$work/out"
    "$bandrig" run scenarios/wallet --station "virtual:$kind" --jobs 2 --out "$work/out" >"$work/said" 2>&1 &
    run=$!
    check "a case is told while two machines run" wait_for 120 is_told
    kill -$signal $run
    wait $run
    code=$?
    [ $signal != INT ] || check 'Ctrl-C is told as 130 by a run, too' ends_with 130
    check "nothing is left of two machines after SIG$signal" wait_for 20 none
done

beside() { "$bandrig" station exec "virtual:$kind" --no-band -- echo "$1" 2>/dev/null; }
beside one >"$work/one" &
beside two >"$work/two"
wait
check 'two at the same time each say what they were told to' diff <(printf 'one\ntwo\n') <(cat "$work/one" "$work/two")
[ "$failures" = 0 ]
