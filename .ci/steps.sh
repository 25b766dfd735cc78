# Steps that count themselves, for `./test` and `.ci/run`: each is run to its end, none hides another's failure.
# shellcheck shell=bash

passed=0 failed=0 skipped=0
problems=()
# The logs of the failed steps.
failures=()
logs=${CARGO_TARGET_DIR:-target}/step-logs
mkdir -p "$logs"

heading() { printf '\n=== %s\n' "$*"; }

# attempt NAME COMMAND…: runs it; `why` is then what is wrong, empty when the command passed and no line of its log says ERROR.
attempt() {
    local name=$1 status errors start=$SECONDS
    shift
    log=$logs/$(printf '%s' "$name" | tr -c 'A-Za-z0-9' '-').log
    heading "$name: $*"
    "$@" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    errors=$(grep -cw ERROR "$log")
    why=
    if [ "$status" -ne 0 ]; then
        why="exit code $status, log in $log"
    elif [ "$errors" -ne 0 ]; then
        why="log lines that say ERROR: $errors, see $log"
    else
        passed=$((passed + 1))
        printf -- '--- %s: passed in %d s\n' "$name" "$((SECONDS - start))"
    fi
}

# step NAME COMMAND…: passes or fails.
step() {
    attempt "$@"
    [ -n "$why" ] || return 0
    fail "$1" "$why"
    failures+=("$log")
    return 1
}

# possible NAME COMMAND…: what a machine may forbid. It is skipped where it does not work, but never in CI: there it fails.
possible() {
    attempt "$@"
    [ -n "$why" ] || return 0
    impossible "$1" "$why"
    [ -z "${CI-}" ] || failures+=("$log")
    return 1
}

fail() {
    failed=$((failed + 1))
    problems+=("FAILED  $1: $2")
    printf -- '--- %s\n' "${problems[-1]}"
}

# skip NAME REASON…: what could not be tried is counted, never green.
skip() {
    local name=$1
    shift
    skipped=$((skipped + 1))
    problems+=("SKIPPED $name: $*")
    printf '\n!!! SKIPPED %s: %s\n' "$name" "$*"
}

# impossible NAME REASON…: what this machine cannot do is skipped, but never in CI: there it fails.
impossible() {
    if [ -z "${CI-}" ]; then
        skip "$@"
        return
    fi
    local name=$1
    shift
    fail "$name" "$*"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# finish: what needs a look, then the line for log readers. Fails when a step failed. Who sees only the end of the output sees how each
# failed step ended.
finish() {
    local log
    for log in "${failures[@]}"; do
        printf '\n=== the end of %s\n' "$log"
        tail -n 25 "$log"
    done
    printf '\n'
    if [ "${#problems[@]}" -ne 0 ]; then
        printf '%s\n' "${problems[@]}"
    fi
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}
