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
    $B insmod "$module" || fail "failed to load $module"
done
$B mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /host || fail "failed to mount the host's files"
$B mount -t tmpfs -o mode=755 tmpfs /layer
$B mkdir -p /layer/up /layer/work
$B mount -t overlay -o lowerdir=/host,upperdir=/layer/up,workdir=/layer/work overlay /new || fail "failed to lay a layer over them"
$B mkdir -p /new/proc /new/sys /new/dev /new/run /new/results
$B mount -t tmpfs -o mode=755 tmpfs /new/run
$B mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=none results /new/results || fail "failed to mount the results"
$B mount --move /proc /new/proc
$B mount --move /sys /new/sys
$B mount --move /dev /new/dev
exec $B switch_root /new /bin/bash /results/guest.sh
