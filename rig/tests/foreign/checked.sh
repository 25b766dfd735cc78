# For scripts that check what a station leaves behind: `work` is their folder, `said` in it what the program said. Source it from the top
# of the project; at the end `failures` says how many checks failed.
# shellcheck shell=bash

failures=0

# check WHAT COMMAND…: it succeeds.
check() {
    local what=$1
    shift
    if "$@" >"$work/check" 2>&1; then
        printf 'ok      %s\n' "$what"
    else
        printf 'FAILED  %s\n' "$what"
        tail -n 20 "$work"/check "$work"/said "$work"/out/*.log 2>/dev/null
        failures=$((failures + 1))
    fi
}
# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        busybox usleep 100000
    done
}
