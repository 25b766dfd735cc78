#!/bin/bash
# The virtual station from inside: linked virtual controllers, D-Bus, bluetoothd, pcscd with a virtual reader, the band; then the task.
# It is the first program of a virtual machine, or of namespaces of its own where ON_THIS_HOST says so. The folder it lies in is the
# share with who started it: `env`, `guest.sh` and `task.sh` come in by it, logs, captures and results go out.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
RESULTS=$(dirname "$0")
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
# Between two looks. What waits is on the same processor as what it waits for: it starts as few programs as it can.
pause() { busybox usleep 100000; }
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
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs tmpfs /dev/shm
    mount -t tmpfs tmpfs /tmp
    # The host's folder may lie under the one that has just been covered.
    for folder in "$WORK" "$(dirname "$BANDRIG")"; do
        case $folder in /tmp/*) say "$folder lies under /tmp, which the guest has to itself"; off "run it from outside /tmp" ;; esac
    done
    mkdir -p "/lib/modules/$(uname -r)" /var/lib/bluetooth /etc/bluetooth
    mount --bind "$MODULES" "/lib/modules/$(uname -r)"
    date -s "@$NOW" >/dev/null
    hostname station
    ip link set lo up
    # Who is woken waits for its turn: a change of programs is what costs most under TCG, and half as many do. With more controllers
    # than two a scan then misses what is advertised just once.
    [ "$CONTROLLERS" -ne 2 ] || {
        mount -t debugfs debugfs /sys/kernel/debug && echo NO_WAKEUP_PREEMPTION >/sys/kernel/debug/sched/features
    }
}
# What the daemons write goes to folders that end with the namespace.
if [ -n "$ON_THIS_HOST" ]; then
    mount -t tmpfs -o mode=755 tmpfs /run && mount -t tmpfs tmpfs /etc/bluetooth || off "failed to lay folders over this machine's"
else
    set_up_machine
fi
mount -t tmpfs -o mode=700 tmpfs /var/lib/bluetooth
mkdir -p /run/bandrig /run/dbus /run/pcscd
modprobe -a hci_vhci algif_skcipher algif_hash ecb cmac 2>>"$RESULTS/guest.log" || off "the kernel has no virtual controllers"
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
        busybox usleep 100000
    done
    [ -z "$monitor" ] || wait "$monitor"
}
if [ -n "$CAPTURE" ]; then
    capture &
    finishing=$!
fi
# One ATT bearer, as a real band has: over several of them, which two bluetoothds would open, fragments overtake each other.
printf '[General]\nDeviceID=false\n[GATT]\nChannels=1\n[Policy]\nAutoEnable=true\n' >/etc/bluetooth/main.conf
for daemon in /usr/libexec/bluetooth/bluetoothd /usr/lib/bluetooth/bluetoothd /usr/sbin/bluetoothd; do
    [ ! -x "$daemon" ] || break
done
"$daemon" -n -E >"$RESULTS/bluetoothd.log" 2>&1 &
echo $! >/run/bandrig/bluetoothd.pid
pcscd_flags=
pcscd --help 2>&1 | grep -q -- --disable-polkit && pcscd_flags=--disable-polkit
pcscd --foreground $pcscd_flags >"$RESULTS/pcscd.log" 2>&1 &
has_adapters() {
    # The kernel has them before bluetoothd does, and bluetoothd before it has switched them on.
    has_controllers || return 1
    for ((adapter = CONTROLLERS - 1; adapter >= 0; adapter--)); do
        dbus-send --system --print-reply --dest=org.bluez "/org/bluez/hci$adapter" \
            org.freedesktop.DBus.Properties.Get string:org.bluez.Adapter1 string:Powered | grep -q 'boolean true' || return 1
    done
}
has_controllers() { [ -e "/sys/class/bluetooth/hci$((CONTROLLERS - 1))" ]; }
# Hundredths of a second since the machine booted.
uptime() { read -r up _ </proc/uptime && echo "${up%.*}${up#*.}"; }
run_controllers() {
    [ -z "$controllers" ] || { kill "$controllers"; wait "$controllers"; }
    btvirt "-l$CONTROLLERS" >>"$RESULTS/btvirt.log" 2>&1 &
    controllers=$!
}
# The kernel gives a controller two seconds for its first answer and does not ask again. The first start may take longer, as the kernel
# sets up the ciphers that the controllers want; the next one finds them.
start_controllers() {
    began=$(uptime)
    run_controllers
    wait_for controllers has_controllers
    [ $(($(uptime) - began)) -lt 150 ] || run_controllers
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
