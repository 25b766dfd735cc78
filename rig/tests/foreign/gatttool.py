"""The program `gatttool`: what it finds at the band, and a session with it."""

import pathlib
import re
import subprocess
import time

import checks as band

ATTEMPTS = 5
PRIMARY = re.compile(r"attr handle\s*=\s*0x([0-9a-f]+), end grp handle\s*=\s*0x([0-9a-f]+) uuid:\s*(\S+)")
CHARACTERISTIC = re.compile(
    r"handle\s*=\s*0x([0-9a-f]+), char properties\s*=\s*0x([0-9a-f]+), char value handle\s*=\s*0x([0-9a-f]+), uuid\s*=\s*(\S+)"
)
DESCRIPTOR = re.compile(r"handle\s*=\s*0x([0-9a-f]+), uuid\s*=\s*(\S+)")


class Gatttool:
    def __init__(self, adapter, address):
        self.command = ["gatttool", "-i", adapter, "-b", address]

    def once(self, *arguments):
        """The output of one run. A band whose last link is just ending is tried again."""
        words = ""
        for _ in range(ATTEMPTS):
            done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=60)
            words = done.stderr.strip()
            if done.returncode == 0 and not words:
                return done.stdout
        raise SystemExit(f"FAILED  gatttool {' '.join(arguments)}: {words}")

    def wait_for_no_link(self):
        """The kernel keeps a link for two seconds after its last user, and to the band it is still the same one."""
        deadline = time.monotonic() + 30
        while list(pathlib.Path("/sys/class/bluetooth").glob(f"{self.command[2]}:*")) and time.monotonic() < deadline:
            time.sleep(0.05)

    def services(self):
        """(first handle, last handle, uuid)"""
        found = PRIMARY.findall(self.once("--primary"))
        return [(int(first, 16), int(last, 16), uuid.lower()) for first, last, uuid in found]

    def characteristics(self):
        """(declaration, value handle, uuid, properties)"""
        found = CHARACTERISTIC.findall(self.once("--characteristics"))
        return [(int(at, 16), int(value, 16), uuid.lower(), int(properties, 16)) for at, properties, value, uuid in found]

    def attributes(self):
        """(handle, type): every attribute there is"""
        return [(int(handle, 16), uuid.lower()) for handle, uuid in DESCRIPTOR.findall(self.once("--char-desc"))]

    def session(self):
        """An interactive session on a link of its own; its `connected` says whether the band was reached."""
        for _ in range(ATTEMPTS):
            self.wait_for_no_link()
            session = band.Terminal(*self.command, "-I")
            session.say("connect")
            match = session.expect(r"Connection successful|[Ee]rror[^\n]*")
            session.connected = match is not None and match[0] == "Connection successful"
            if session.connected:
                break
            session.close("quit")
        return session
