# What the full test needs beyond a Rust toolchain, for `./test` and `.ci/run`: said first, then installed with apt-get. Source after steps.sh.
# shellcheck shell=bash

# One row per need: a test that it is there, and the Debian packages that bring it.
needs=(
    'command -v cc|gcc libc6-dev'
    '[ -x /usr/bin/python3 ]|python3'
    '/usr/bin/python3 -c "import ensurepip, venv"|python3-venv'
    '/usr/bin/python3 -c "import smartcard"|python3-pyscard'
    'command -v pkg-config|pkg-config'
    'pkg-config --exists dbus-1|libdbus-1-dev'
    'pkg-config --exists libpcsclite|libpcsclite-dev'
    'command -v pcscd || [ -x /usr/sbin/pcscd ]|pcscd'
    '[ -e /etc/reader.conf.d/vpcd ]|vsmartcard-vpcd'
    'command -v opensc-tool|opensc'
    'command -v tshark|tshark'
    'command -v ip || [ -x /sbin/ip ]|iproute2'
    'command -v qemu-system-x86_64|qemu-system-x86'
    'command -v busybox|busybox-static'
    'command -v cpio|cpio'
    'command -v xz|xz-utils'
    'command -v make|make'
    'command -v flex|flex'
    'command -v bison|bison'
    'command -v bc|bc'
    'PATH=$PATH:/usr/sbin:/sbin command -v depmod|kmod'
    'command -v bluetoothctl && command -v gatttool && command -v hciconfig|bluez'
    'command -v btvirt|bluez-test-tools'
    'command -v dbus-daemon|dbus'
    'command -v dbus-send|dbus-bin'
    'command -v pgrep|procps'
    'command -v systemd-analyze|systemd'
)

# missing_needs: the packages of every need that is not there, in `missing`.
missing_needs() {
    missing=()
    local need packages
    for need in "${needs[@]}"; do
        if ! eval "${need%%|*}" >/dev/null 2>&1; then
            read -r -a packages <<<"${need##*|}"
            missing+=("${packages[@]}")
        fi
    done
}

# install_needs yes|no: says what is missing and installs it, unless told not to.
install_needs() {
    local install=$1
    missing_needs
    if [ "${#missing[@]}" -eq 0 ]; then
        printf 'with apt-get: nothing, all is there\n'
        return
    fi
    if [ "$install" = no ]; then
        printf 'nothing (--no-install); missing: %s\n' "${missing[*]}"
        return
    fi
    printf 'with apt-get: %s\n' "${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        printf 'no apt-get here: please install %s\n' "${missing[*]}"
        return
    fi
    as_root apt-get update -q </dev/null &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null ||
        printf 'apt-get could not install %s\n' "${missing[*]}"
}

# all_features: in `features`, what builds everything in one go where the libraries are there; every later step takes what that built.
all_features() {
    features=()
    if pkg-config --exists dbus-1 libpcsclite 2>/dev/null; then
        features=(--features bandrig/bluez,bandrig/pcsc)
    fi
}
