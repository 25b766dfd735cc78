#!/usr/bin/env bash
# The systemd unit of the README, as systemd itself reads it; needs no systemd that runs.
#
#   unit.sh BAND
set -eu
band=$(realpath "$1")
cd "$(dirname "$0")/../../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
installed=/usr/local/bin/band
# It is not installed here: the program that was built stands for it.
sed -n '/^```ini$/,/^```$/p' README.md | grep -v '^```' | sed "s#^ExecStart=$installed #ExecStart=$band #" >"$work/band.service"
grep -q "^ExecStart=$band " "$work/band.service" || {
    printf 'WRONG the README has no unit that starts %s\n' "$installed"
    exit 1
}
# What it ignores it says, and succeeds. Other units are not ours.
status=0
said=$(systemd-analyze verify "$work/band.service" 2>&1) || status=$?
if [ "$status" -ne 0 ] || grep -q 'band\.service' <<<"$said"; then
    printf 'WRONG systemd-analyze verify ends with %s: %s\n' "$status" "$said"
    exit 1
fi
printf 'systemd has nothing to say against it\n'
