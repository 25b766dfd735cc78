#!/bin/busybox sh
# First program of the guest: puts the host's files, read-only, under a layer that is thrown away, and goes on from there.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
# Whether this machine comes up at all is all that was asked.
if $B grep -q bandrig.probe /proc/cmdline; then
    echo o >/proc/sysrq-trigger
    $B sleep 60
fi
fail() {
    echo "guest: $1" >/dev/console
    echo o >/proc/sysrq-trigger
    $B sleep 60
}
for module in /modules/*; do
    [ ! -e "$module" ] || $B insmod "$module" || fail "failed to load $module"
done
# A kernel that is a process has the host's files by itself, and is told where the share lies.
share=$($B sed -n 's/.*bandrig.share=\([0-9a-f]*\).*/\1/p' /proc/cmdline)
if [ -n "$share" ]; then
    $B mount -t hostfs -o ro,/ host /host || fail "failed to mount the host's files"
else
    $B mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /host || fail "failed to mount the host's files"
fi
$B mount -t tmpfs -o mode=755 tmpfs /layer
$B mkdir -p /layer/up /layer/work
$B mount -t overlay -o lowerdir=/host,upperdir=/layer/up,workdir=/layer/work overlay /new || fail "failed to lay a layer over them"
$B mkdir -p /new/proc /new/sys /new/dev /new/run /new/results
$B mount -t tmpfs -o mode=755 tmpfs /new/run
if [ -n "$share" ]; then
    share=$(echo "$share" | $B sed 's/../\\x&/g')
    $B mount -t hostfs -o "$($B printf '%b' "$share")" results /new/results || fail "failed to mount the results"
else
    $B mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=none results /new/results || fail "failed to mount the results"
fi
$B mount --move /proc /new/proc
$B mount --move /sys /new/sys
$B mount --move /dev /new/dev
exec $B switch_root /new /bin/bash /results/guest.sh
