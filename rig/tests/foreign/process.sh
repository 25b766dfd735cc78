#!/usr/bin/env bash
# A kernel that is a process is gone, with each process of its own, when who started it is: after the task, after Ctrl-C, after a crash.
#
#   process.sh BANDRIG
set -u
cd "$(dirname "$0")/../../.." || exit 2
bandrig=$1
work=$(mktemp -d)
trap 'pkill -KILL -f "uml_dir=$work"; rm -rf "$work"' EXIT
. rig/tests/foreign/checked.sh

processes() { pgrep -f "uml_dir=$work"; }
many() { [ "$(processes | wc -l)" -gt 5 ]; }
none() { ! processes; }
is_up() { grep -q '^up' "$work/out/task.out" && many; }
ends_with() { [ "$code" -eq "$1" ]; }
run() { "$bandrig" station exec virtual:uml --out "$work/out" -- bash -c "$1" >"$work/said" 2>&1; }

run 'exit 5'
code=$?
check 'the exit code of the task comes out' ends_with 5
check 'and nothing is left of the kernel' none
for signal in INT KILL; do
    rm -rf "$work/out"
    run 'echo up; exec sleep 600' &
    shell=$!
    check "it comes up before SIG$signal" wait_for 60 is_up
    # The program itself, not the shell that waits for it.
    kill -$signal "$(pgrep -P $shell)"
    wait $shell
    check "nothing is left of the kernel after SIG$signal" wait_for 20 none
done
[ "$failures" = 0 ]
