"""What the foreign clients of the band have in common: lines of checks, the numbers of the protocol, a program on a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# The test key of the fixtures' real-time band; `guest.sh` starts the band with it.
KEY = bytes.fromhex("30313233343536373839404142434445")
PRIVATE = "0000{}-0000-3512-2118-0009af100700"
SIG = "0000{}-0000-1000-8000-00805f9b34fb"

SERIAL = SIG.format("2a25")
SOFTWARE_REVISION = SIG.format("2a28")
TIME = SIG.format("2a2b")
ALERT = SIG.format("2a46")
HEART_RATE = SIG.format("2a37")
HEART_RATE_CONTROL = SIG.format("2a39")
CCCD = SIG.format("2902")
AUTH = PRIVATE.format("0009")
CONFIG = PRIVATE.format("0003")
FETCH = PRIVATE.format("0004")
RECORDS = PRIVATE.format("0005")
BATTERY = PRIVATE.format("0006")
STEPS = PRIVATE.format("0007")
PERSON = PRIVATE.format("0008")
NFC = PRIVATE.format("0011")
CHUNKED = PRIVATE.format("0020")

OPEN, CLOSE = bytes([0x01]), bytes([0x02])
OPENED, CLOSED = bytes([0x81, 0x00]), bytes([0x82, 0x00])
SELECT_ISD = bytes.fromhex("00A4040008A000000151000000")
GET_CPLC = bytes.fromhex("80CA9F7F00")
FRAGMENT = 19


def fragments(apdu):
    """An APDU as the NFC channel's writes: 04 for more, 03 for the last, the length behind it."""
    data = apdu + len(apdu).to_bytes(2, "little")
    parts = [data[at:at + FRAGMENT] for at in range(0, len(data), FRAGMENT)]
    return [bytes([0x03 if at == len(parts) - 1 else 0x04]) + part for at, part in enumerate(parts)]


def answer(notifications):
    """The response APDU of the fragments so far, or None while the last one is missing."""
    if not notifications or notifications[-1][0] != 0x83:
        return None
    # Whatever MTU was agreed.
    if any(len(part) > 20 for part in notifications):
        raise ValueError(f"a fragment is too long: {[len(part) for part in notifications]}")
    data = b"".join(part[1:] for part in notifications)
    apdu, length = data[:-2], int.from_bytes(data[-2:], "little")
    if length != len(apdu) or any(part[0] != 0x84 for part in notifications[:-1]):
        raise ValueError(f"a bad answer: {[part.hex(' ') for part in notifications]}")
    return apdu


def proof(random):
    """What the band expects for its random number."""
    encryptor = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor()
    return encryptor.update(random) + encryptor.finalize()


def is_battery(value):
    """The fields that hobby clients take apart, with a level that can be one."""
    return len(value) == 20 and value[0] == 0x0F and value[1] <= 100 and 1 <= value[13] <= 12


def is_time(value):
    """Year, month, day and so on, eleven bytes."""
    return len(value) == 11 and value[:2] != b"\0\0" and 1 <= value[2] <= 12 and 1 <= value[3] <= 31 and value[4] < 24


def is_serial(value):
    """Twelve lower-case hex digits, as hobby clients insist on."""
    return re.fullmatch(rb"[0-9a-f]{12}", value) is not None


def address_of(adapter):
    """The adapter's own address, which bluetoothctl knows it by."""
    words = subprocess.run(["hciconfig", adapter], capture_output=True, text=True).stdout
    match = re.search(r"BD Address: (\S+)", words)
    return match[1] if match else sys.exit(f"there is no adapter {adapter}")


class Checks:
    """Prints a line per check and counts those that failed."""

    def __init__(self, client):
        self.client, self.failed = client, 0

    def check(self, what, is_so, got=""):
        shown = got.hex(" ") if isinstance(got, (bytes, bytearray)) else got
        print(f"ok      {self.client}: {what}" if is_so else f"FAILED  {self.client}: {what}: {shown!r}", flush=True)
        self.failed += not is_so
        return is_so

    def end(self):
        sys.exit(1 if self.failed else 0)


class Terminal:
    """A program that is talked to line by line, as a person would."""

    ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x01\x02]")
    # A prompt, which what is printed next writes over.
    OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n\r])")

    def __init__(self, *command):
        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "400"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.heard = ""

    def say(self, line):
        os.write(self.master, line.encode() + b"\n")

    def expect(self, pattern, within=30):
        """The first match, which is taken out of what was heard; None when it does not come in time."""
        deadline = time.monotonic() + within
        pattern = re.compile(pattern)
        while not (match := pattern.search(self.heard)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                return None
            try:
                data = os.read(self.master, 4096)
            except OSError:
                return None
            heard = self.ESCAPES.sub("", self.heard + data.decode(errors="replace"))
            self.heard = self.OVERWRITTEN.sub("", re.sub(r"\r+\n", "\n", heard))
        self.heard = self.heard[:match.start()] + self.heard[match.end():]
        return match

    def close(self, farewell):
        try:
            self.say(farewell)
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.master)
