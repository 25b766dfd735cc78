#!/bin/bash
# The virtual station from inside: linked virtual controllers, D-Bus, bluetoothd, pcscd with a virtual reader, the band; then the task.
# It is the first program of a virtual machine, or of namespaces of its own where ON_THIS_HOST says so. The folder it lies in is the
# share with who started it: `env`, `guest.sh` and `task.sh` come in by it, logs, captures and results go out.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
RESULTS=${0%/*}
. "$RESULTS/env"
export RESULTS BAND BANDRIG BAND_SOCKET=/run/bandrig/band.sock

say() {
    read -r up _ </proc/uptime
    echo "[$up s] $*" >>"$RESULTS/guest.log"
}
# With the first program of its namespaces everything else in them ends.
off() {
    echo "$1" >"$RESULTS/status"
    [ -z "$ON_THIS_HOST" ] || exit 0
    sync
    echo o >/proc/sysrq-trigger
    busybox sleep 60
}
# What waits is on the same processor as what it waits for, and under TCG the start of a program takes a tenth of a second: this script
# does by itself what it can, and the rest with busybox, which has nothing to link. Between two looks it reads where nothing comes.
pause() { read -r -t 0.1 -u "$nothing"; }
# wait_for WHAT COMMAND…: until the command succeeds, at most a minute.
wait_for() {
    what=$1
    shift
    until=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$until" ]; do
        "$@" >/dev/null 2>&1 && return 0
        pause
    done
    say "no $what within a minute"
    off "no $what within a minute; see the logs beside this file"
}

say "booted"
# A machine of its own: nobody has set it up yet.
set_up_machine() {
    busybox mkdir -p /dev/pts /dev/shm
    busybox mount -t devpts devpts /dev/pts
    busybox mount -t tmpfs tmpfs /dev/shm
    busybox mount -t tmpfs tmpfs /tmp
    # The host's folder may lie under the one that has just been covered.
    for folder in "$WORK" "${BANDRIG%/*}"; do
        case $folder in /tmp/*) say "$folder lies under /tmp, which the guest has to itself"; off "run it from outside /tmp" ;; esac
    done
    busybox mkdir -p /var/lib/bluetooth /etc/bluetooth
    # A kernel that is a process has all it needs, and the host's clock.
    [ -z "$MODULES" ] || {
        read -r release </proc/sys/kernel/osrelease
        busybox mkdir -p "/lib/modules/$release"
        busybox mount -o bind "$MODULES" "/lib/modules/$release"
        busybox date -s "@$NOW" >/dev/null
    }
    echo station >/proc/sys/kernel/hostname
    busybox ip link set lo up
    # Who is woken waits for its turn: a change of programs is what costs most under TCG, and half as many do. With more controllers
    # than two a scan then misses what is advertised just once.
    [ "$CONTROLLERS" -ne 2 ] || {
        busybox mount -t debugfs debugfs /sys/kernel/debug && echo NO_WAKEUP_PREEMPTION >/sys/kernel/debug/sched/features
    }
}
# What the daemons write goes to folders that end with the namespace.
if [ -n "$ON_THIS_HOST" ]; then
    busybox mount -t tmpfs -o mode=755 tmpfs /run && busybox mount -t tmpfs tmpfs /etc/bluetooth || off "failed to lay folders over this machine's"
else
    set_up_machine
fi
busybox mount -t tmpfs -o mode=700 tmpfs /var/lib/bluetooth
busybox mkdir -p /run/bandrig /run/dbus /run/pcscd
busybox mkfifo /run/bandrig/nothing
exec {nothing}<>/run/bandrig/nothing
if [ -n "$MODULES$ON_THIS_HOST" ]; then
    modprobe -a hci_vhci algif_skcipher algif_hash ecb cmac 2>>"$RESULTS/guest.log" || off "the kernel has no virtual controllers"
fi
dbus-daemon --system --nopidfile --fork 2>>"$RESULTS/guest.log"
finishing=
# What the kernel's monitor hears, as btmon writes it. Where one ends in the middle another one goes on; the host puts the parts together.
capture() {
    part=0 enough= monitor=
    trap 'enough=yes; [ -z "$monitor" ] || kill "$monitor" 2>/dev/null' TERM
    while [ -z "$enough" ] && [ "$part" -lt 100 ]; do
        btmon -w "$RESULTS/hci.$part.btsnoop" >/dev/null 2>>"$RESULTS/btmon.log" &
        monitor=$!
        wait "$monitor"
        status=$?
        [ -z "$enough" ] || break
        say "btmon ended with $status in the middle of the capture; another one goes on"
        part=$((part + 1))
        pause
    done
    [ -z "$monitor" ] || wait "$monitor"
}
if [ -n "$CAPTURE" ]; then
    capture &
    finishing=$!
fi
# One ATT bearer, as a real band has: over several of them, which two bluetoothds would open, fragments overtake each other. And no band
# asks its phone what that serves.
printf '[General]\nDeviceID=false\nReverseServiceDiscovery=false\n[GATT]\nChannels=1\n[Policy]\nAutoEnable=true\n' >/etc/bluetooth/main.conf
for daemon in /usr/libexec/bluetooth/bluetoothd /usr/lib/bluetooth/bluetoothd /usr/sbin/bluetoothd; do
    [ ! -x "$daemon" ] || break
done
"$daemon" -n >"$RESULTS/bluetoothd.log" 2>&1 &
echo $! >/run/bandrig/bluetoothd.pid
pcscd --foreground $PCSCD_FLAGS >"$RESULTS/pcscd.log" 2>&1 &
has_adapters() {
    # The kernel has them before bluetoothd does, and bluetoothd before it has switched them on.
    has_controllers || return 1
    objects=$(dbus-send --system --print-reply --dest=org.bluez / org.freedesktop.DBus.ObjectManager.GetManagedObjects)
    on=0
    while [[ $objects =~ \"Powered\"[[:space:]]+variant[[:space:]]+boolean\ true(.*) ]]; do
        objects=${BASH_REMATCH[1]}
        on=$((on + 1))
    done
    [ "$on" -eq "$CONTROLLERS" ]
}
has_controllers() { [ -e "/sys/class/bluetooth/hci$((CONTROLLERS - 1))" ]; }
# Hundredths of a second since the machine booted; in its first one they begin with a zero, and are still decimal.
uptime() { read -r up _ </proc/uptime && up=$((10#${up%.*}${up#*.})); }
run_controllers() {
    [ -z "$controllers" ] || { kill "$controllers"; wait "$controllers"; }
    btvirt "-l$CONTROLLERS" >>"$RESULTS/btvirt.log" 2>&1 &
    controllers=$!
}
# The kernel gives a controller two seconds for its first answer and does not ask again. On a busy machine the first start may take longer,
# as the kernel sets up the ciphers that the controllers want; the next one finds them.
start_controllers() {
    uptime
    began=$up
    run_controllers
    wait_for controllers has_controllers
    uptime
    [ $((up - began)) -lt 150 ] || run_controllers
    until=$((SECONDS + 15))
    while [ "$SECONDS" -lt "$until" ]; do
        has_adapters >/dev/null 2>&1 && return 0
        pause
    done
    say "the virtual controllers do not come up"
    return 1
}
controllers=
start_controllers || start_controllers || start_controllers || off "no virtual controllers; see the logs beside this file"
say "bluetoothd is up"
if [ -n "$BAND" ]; then
    cd "$WORK" || off "no folder $WORK"
    "$BAND" --ble hci1 --vpcd --control "$BAND_SOCKET" --log "$BAND_LOG" >"$RESULTS/band.out" 2>"$RESULTS/band.log" &
    finishing="$! $finishing"
    is_ready() { while read -r line; do [[ $line != ready* ]] || return 0; done <"$RESULTS/band.out"; return 1; }
    wait_for "band" is_ready
    say "the band is up"
fi
cd "$WORK" || off "no folder $WORK"
bash "$RESULTS/task.sh"
status=$?
say "the task ended with $status"
# What these still have to say, the capture above all, is on the share before the power goes.
if [ -n "$finishing" ]; then
    kill $finishing 2>/dev/null
    (busybox sleep 10; kill -9 $finishing; busybox sleep 5; off "$status") 2>/dev/null &
    wait $finishing 2>/dev/null
fi
off "$status"
