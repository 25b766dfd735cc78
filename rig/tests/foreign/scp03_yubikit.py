#!/usr/bin/env python3
"""A foreign SCP03 host against the simulated secure element.

The host is yubikit.core.smartcard of the PyPI package yubikey-manager 5.9.2, which shares no line with the card. It
talks to `card_stdio` over a pipe: opens channels at level 33, installs, lists, personalises and deletes an instance,
and must be refused where it lies. Exit code 0 only when card and host agree about everything.

    pip install yubikey-manager==5.9.2
    cargo build -p bandrig --example card_stdio
    python3 rig/tests/foreign/scp03_yubikit.py target/debug/examples/card_stdio
"""

import subprocess
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from yubikit.core import TRANSPORT
from yubikit.core.smartcard import ApduError, SmartCardConnection, SmartCardProtocol
from yubikit.core.smartcard.scp import KeyRef, Scp03KeyParams, ScpKid, StaticKeys

ISD = bytes.fromhex("A000000151000000")
CRS = bytes.fromhex("A00000015143525300")
LOAD_FILE = bytes.fromhex("F062616E64726967")
MODULE = bytes.fromhex("F062616E6472696701")
INSTANCE = bytes.fromhex("A00000000410100001")
KEY = bytes(range(0x40, 0x50))
KEY_VERSION = 0x21

checks = 0


def check(condition, what):
    global checks
    checks += 1
    if not condition:
        sys.exit(f"card and host disagree: {what}")


class Pipe(SmartCardConnection):
    """The card's standard input and output as a smart card connection."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def transport(self):
        return TRANSPORT.NFC

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def send_and_receive(self, apdu):
        answer = bytes.fromhex(self.ask(apdu.hex()))
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def refused(expected, what, call, *arguments):
    try:
        call(*arguments)
    except ApduError as error:
        check(error.sw == expected, f"{what}: {error.sw:04X} instead of {expected:04X}")
        return
    check(False, f"{what} was not refused with {expected:04X}")


def lv(*fields):
    return b"".join(bytes([len(field)]) + field for field in fields)


def tlv(tag, value):
    return bytes.fromhex(tag) + bytes([len(value)]) + value


def dgi(identifier, content):
    return bytes.fromhex(identifier) + bytes([len(content)]) + content


def open_channel(pipe, keys=KEY):
    protocol = SmartCardProtocol(pipe)
    protocol.select(ISD)
    protocol.init_scp(Scp03KeyParams(KeyRef(ScpKid.SCP03, KEY_VERSION), StaticKeys(keys, keys, keys)))
    return protocol


def key_check_value(key):
    # One-key 3DES with K1 K2 K1.
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

    encryptor = Cipher(TripleDES(key + key[:8]), modes.ECB()).encryptor()
    return encryptor.update(bytes(8))[:3]


def under_dek(content):
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(bytes(16))).encryptor()
    return encryptor.update(content) + encryptor.finalize()


def personalise(card):
    icc_keys = bytes(range(0x10, 0x40))
    check_values = b"".join(key_check_value(icc_keys[at : at + 16]) for at in (0, 16, 32))
    cdol1 = bytes.fromhex("9F02069F03069F1A0295055F2A029A039C019F3704")
    record = tlv("70", tlv("5A", bytes.fromhex("5413330089010434")) + tlv("8C", cdol1))
    risk = "C10110" "C20101" "C30102" "C406000000005000" "C5020980" "C60100"
    clear = (
        dgi("0101", record)
        + dgi("9102", tlv("50", b"MASTERCARD") + tlv("BF0C", tlv("9F4D", bytes.fromhex("0B0A"))))
        + dgi("9104", bytes.fromhex("82021980" "940408010100"))
        + dgi("9000", check_values)
        + dgi("A001", bytes.fromhex(risk))
        + dgi("A0FF", b"\x01")
    )
    check(card.send_apdu(0x80, 0xE6, 0x20, 0, lv(b"", b"", INSTANCE, b"", b"", b"")) == b"\0", "INSTALL for personalization")
    card.send_apdu(0x80, 0xE2, 0x08, 0, clear[:90])
    card.send_apdu(0x80, 0xE2, 0x08, 1, clear[90:])
    card.send_apdu(0x80, 0xE2, 0xE8, 2, dgi("8000", under_dek(icc_keys)))


def main(program):
    pipe = Pipe(program, "--mode", "s8", "--key-bytes", "16")

    # The host checks the card's cryptogram itself and gives up on any other keys than these.
    try:
        open_channel(pipe, bytes(16))
        check(False, "a channel was opened with wrong keys")
    except ValueError:
        check(True, "wrong keys")

    card = open_channel(pipe)
    isd = card.send_apdu(0x80, 0xF2, 0x80, 0x02, tlv("4F", b""))
    check(isd[:1] == b"\xE3" and ISD in isd, "GET STATUS of the issuer security domain")
    refused(0x6A88, "GET STATUS of applications on an empty card", card.send_apdu, 0x80, 0xF2, 0x40, 0x02, tlv("4F", b""))
    check(card.send_apdu(0x80, 0xCA, 0x9F, 0x7F)[:3] == bytes.fromhex("9F7F2A"), "GET DATA of the CPLC")
    counter = card.send_apdu(0x80, 0xCA, 0x00, 0xC1)
    check(counter[:2] == b"\xC1\x03", "GET DATA of the sequence counter")

    install = lv(LOAD_FILE, MODULE, INSTANCE, b"\0", bytes.fromhex("C900"), b"")
    check(card.send_apdu(0x80, 0xE6, 0x0C, 0, install) == b"\0", "INSTALL and make selectable")
    refused(0x6985, "a second instance of the same AID", card.send_apdu, 0x80, 0xE6, 0x0C, 0, install)
    refused(0x6A88, "an unknown module", card.send_apdu, 0x80, 0xE6, 0x0C, 0, lv(LOAD_FILE, LOAD_FILE, INSTANCE, b"\0", bytes.fromhex("C900"), b""))
    listed = card.send_apdu(0x80, 0xF2, 0x40, 0x02, tlv("4F", b""))
    check(tlv("4F", INSTANCE) in listed and bytes.fromhex("9F700107") in listed, "GET STATUS of the instance")
    personalise(card)

    # More than one APDU holds: the host chains it, and the C-MAC covers the whole.
    long_install = lv(LOAD_FILE, MODULE, INSTANCE[:-1] + b"\x02", b"\0", bytes.fromhex("C900") + tlv("EF", bytes(120)) + tlv("EF", bytes(100)), b"")
    check(card.send_apdu(0x80, 0xE6, 0x0C, 0, long_install) == b"\0", "a chained INSTALL")
    check(card.send_apdu(0x80, 0xE4, 0, 0, tlv("4F", INSTANCE[:-1] + b"\x02")) == b"\0", "DELETE")

    # The registry takes commands without a channel.
    crs = SmartCardProtocol(pipe)
    crs.select(CRS)
    crs.send_apdu(0x80, 0xF0, 0x01, 0x01, tlv("4F", INSTANCE))
    entry = crs.send_apdu(0x80, 0xF2, 0x40, 0x00, tlv("4F", b""))
    check(entry == tlv("61", tlv("4F", INSTANCE) + bytes.fromhex("9F70020701")), "the registry's entry")

    # A channel ends with SELECT, and a broken C-MAC ends it too.
    card = open_channel(pipe)
    check(int.from_bytes(card.send_apdu(0x80, 0xCA, 0x00, 0xC1)[2:], "big") == int.from_bytes(counter[2:], "big") + 1, "the sequence counter counts")
    before = pipe.ask("digest")
    check(pipe.send_and_receive(bytes.fromhex("84F2400212") + bytes(18)) == (b"", 0x6982), "a wrong C-MAC is 6982")
    refused(0x6982, "the channel after a wrong C-MAC", card.send_apdu, 0x80, 0xE4, 0, 0, tlv("4F", INSTANCE))
    check(pipe.ask("digest") == before, "a refusal changed the card's memory")

    card = open_channel(pipe)
    check(card.send_apdu(0x80, 0xE4, 0, 0, tlv("4F", INSTANCE)) == b"\0", "DELETE")
    refused(0x6A88, "DELETE of what is gone", card.send_apdu, 0x80, 0xE4, 0, 0, tlv("4F", INSTANCE))
    pipe.close()

    random_challenge = Pipe(program, "--mode", "s8", "--random-challenge")
    check(b"\xE3" == open_channel(random_challenge).send_apdu(0x80, 0xF2, 0x80, 0x02, tlv("4F", b""))[:1], "a random card challenge")
    random_challenge.close()
    print(f"yubikit and the card agree: {checks} checks")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
