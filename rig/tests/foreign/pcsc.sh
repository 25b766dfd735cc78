#!/usr/bin/env bash
# Foreign programs at a band in the virtual reader of a pcscd that runs already, on its contacts and in its field.
#
#   pcsc.sh BINARIES PYTHON    BINARIES: the folder of `bandrig` and `band`, built with all features; PYTHON: with requirements.txt
set -u
cd "$(dirname "$0")/../../.." || exit 2
binaries=$1 python=$2
work=$(mktemp -d)
running=()
trap 'kill "${running[@]}" 2>/dev/null; rm -rf "$work"' EXIT

failures=0
# check NAME COMMAND…: one line, and the output of what failed.
check() {
    local name=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        printf 'ok    %s\n' "$name"
    else
        printf 'WRONG %s (exit code %d)\n' "$name" "$?"
        sed 's/^/      /' "$work/out"
        failures=$((failures + 1))
    fi
}

# start_band PORT OPTIONS…: a band in the reader at this port; waits for its line that it can be found there.
start_band() {
    local port=$1 out="$work/band-$1.out" line
    shift
    rm -f "$out"
    mkfifo "$out"
    "$binaries/band" --vpcd --reader-port "$port" "$@" >"$out" 2>"$work/band-$port.err" &
    running+=("$!")
    exec {lines}<"$out"
    while read -r -t 60 line <&"$lines"; do
        case $line in
            ready) return ;;
        esac
    done
    printf 'WRONG the band at port %s did not come up\n' "$port"
    cat "$work/band-$port.err"
    exit 1
}

# payment OUTPUT ARGUMENTS…: a payment by the pyscard script, kept for pyemv.
payment() {
    local output=$1
    shift
    timeout 60 "$python" rig/tests/foreign/pay_pyscard.py "$@" >"$output"
}

# said WORDS COMMAND…: the command succeeds and says the words.
said() {
    local words=$1
    shift
    timeout 60 "$@" >"$work/said" 2>&1 && grep -qF -- "$words" "$work/said" && return
    printf 'not said: %s\n' "$words"
    cat "$work/said"
    return 1
}

# logged_without WORD PATTERN: both bands logged the word, and nothing like the pattern.
logged_without() {
    grep -q "$1" "$work/band-35963.err" && grep -q "$1" "$work/band-35964.err" &&
        ! grep -E "$2" "$work/band-35963.err" "$work/band-35964.err"
}

start_band 35963 --cards mastercard-debit,visa-credit
start_band 35964 --cards mastercard-debit,visa-credit --interface contact
contactless='Virtual PCD 00 00' contact='Virtual PCD 00 01'

check 'pyscard pays in the field' payment "$work/contactless.json" "$contactless"
check 'pyemv verifies the cryptogram' \
    "$python" rig/tests/foreign/arqc_pyemv.py "$work/contactless.json" fixtures/cards/mastercard-debit.yaml
check 'pyscard pays on contacts, follows the certificates and brings the answer of a bank made of pyemv' \
    payment "$work/contact.json" "$contact" --contact fixtures/cards/mastercard-debit.yaml fixtures/keys/authorities.yaml
check 'pyemv verifies that cryptogram, too' \
    "$python" rig/tests/foreign/arqc_pyemv.py "$work/contact.json" fixtures/cards/mastercard-debit.yaml

# These connect with T=0 only, so before anything that leaves the card powered with T=1.
emvtool=("$python" -c 'from emv.command.client import run; run()')
for reader in 0 1; do
    check "emvtool lists both applications (reader $reader)" said 'VISA CREDIT' "${emvtool[@]}" -r "$reader" listapps
    check "emvtool reads the Mastercard (reader $reader)" said 'CVM List' "${emvtool[@]}" -r "$reader" appdata 1
done
# In the field a Visa card wants the terminal's data with GET PROCESSING OPTIONS, and emvtool gives none.
check 'emvtool reads the Visa card on contacts' said 'CVM List' "${emvtool[@]}" -r 1 appdata 0

# The answers as opensc-tool prints them: sixteen bytes a line, then the characters.
check 'opensc-tool sees a contactless card' said '3b:80:80:01:01' opensc-tool -r "$contactless" --atr
check 'opensc-tool sees a card on contacts' said '3b:e0:00:00:80:31:fe:45' opensc-tool -r "$contact" --atr
check 'opensc-tool reads the PPSE' \
    said '2PAY.SYS.DDF' opensc-tool -r "$contactless" --send-apdu 00A404000E325041592E5359532E444446303100
check 'opensc-tool is refused a record without an application' \
    said 'SW1=0x69, SW2=0x85' opensc-tool -r "$contactless" --send-apdu 00B2010C00
check 'opensc-tool reads a record of the PSE' \
    said 'DEBIT MASTERCARD' sh -c "opensc-tool -r '$contact' --send-apdu 00A404000E315041592E5359532E444446303100 \
        --send-apdu 00B2010C00 | sed 's/^\(.. \)\{1,16\} *//' | tr -d '\n'"

stop_bands() {
    local band
    for band in "${running[@]}"; do
        kill -TERM "$band"
        wait "$band" || { printf 'WRONG a band ended with exit code %d\n' "$?"; failures=$((failures + 1)); }
    done
    running=()
}
stop_bands

# What the rig's own terminal and the bands show of a card, and what they write.
tap() {
    timeout 60 "$binaries/bandrig" tap --color never --amount '4.20 EUR' --reader "$contactless" "$@"
}
start_band 35963 --cards mastercard-debit --log trace
check 'pyscard reads a card whole' payment "$work/read.json" "$contactless"
check 'the terminal pays with it and keeps a capture' tap --capture "$work/tap.pcapng"
cp "$work/out" "$work/tap.txt"
check 'the terminal pays with it and says so in JSON' tap --json
cp "$work/out" "$work/tap.json"
check 'nothing that was shown opens to the card number' "$python" rig/tests/foreign/opened.py "$work/read.json" \
    fixtures/keys/authorities.yaml "$work/tap.txt" "$work/tap.json" "$work/tap.pcapng" "$work/band-35963.err"
stop_bands

# Every scheme and cryptogram version that pyemv knows.
for card in mastercard-debit mastercard-gold visa-debit visa-credit visa-platinum; do
    start_band 35963 --cards "$card"
    start_band 35964 --cards "$card" --interface contact
    check "pyscard and pyemv are both sides of $card in the field" \
        timeout 60 "$python" rig/tests/foreign/both_sides.py "$contactless" contactless "fixtures/cards/$card.yaml"
    check "pyscard and pyemv are both sides of $card on contacts" \
        timeout 60 "$python" rig/tests/foreign/both_sides.py "$contact" contact "fixtures/cards/$card.yaml"
    stop_bands
done

odd=mastercard-debit,mastercard-gold,visa-credit
start_band 35963 --cards "$odd"
start_band 35964 --cards "$odd" --interface contact
check 'the field answers what other terminals ask' timeout 60 "$python" rig/tests/foreign/odd_pyscard.py "$contactless" contactless
check 'the contacts answer what other terminals ask' timeout 60 "$python" rig/tests/foreign/odd_pyscard.py "$contact" contact
stop_bands

# A PIN in the card, for each scheme: the Visa card is given one here. Neither log shows it.
sed 's/ 42 03 1E 03 1F 03"/ 41 03 1F 03"/; s/^online_pin:.*/&\noffline_pin: { digits: "31415" }/' \
    fixtures/cards/visa-debit.yaml >"$work/visa-debit.yaml"
for card in fixtures/cards/mastercard-chip-and-pin.yaml "$work/visa-debit.yaml"; do
    start_band 35963 --cards "$card" --log trace
    start_band 35964 --cards "$card" --log trace --interface contact
    check "$(basename "$card" .yaml) has a PIN on contacts, which pyemv unblocks" \
        timeout 60 "$python" rig/tests/foreign/verify_pyscard.py "$contact" contact "$card"
    check "$(basename "$card" .yaml) has none in the field" \
        timeout 60 "$python" rig/tests/foreign/verify_pyscard.py "$contactless" contactless "$card"
    check 'the bands logged the command without the PIN' logged_without VERIFY '2[45] ?(26 ?84|31 ?41)'
    stop_bands
done

[ "$failures" -eq 0 ] || { printf '%d wrong\n' "$failures"; exit 1; }
printf 'all as it should be\n'
