#!/usr/bin/env python3
"""`gatttool` as a client of the band: raw handles and nothing cached, the way bluepy and pygatt clients work.

    python3 rig/tests/foreign/gatttool_client.py [ADAPTER [ADDRESS]]
"""

import sys
from datetime import datetime

import checks as band
from gatttool import Gatttool


def value_of(session, handle):
    """What a read gives: bytes, or the error's words."""
    session.say(f"char-read-hnd 0x{handle:04x}")
    match = session.expect(r"Characteristic value/descriptor: ((?:[0-9a-f]{2} )*)\n|Error: ([^\n]*)\n")
    if match is None:
        return "nothing"
    return match[2] if match[2] is not None else bytes.fromhex(match[1])


def request(session, handle, value):
    """Whether a write request is answered well."""
    session.say(f"char-write-req 0x{handle:04x} {value.hex()}")
    match = session.expect(r"written successfully|Error: [^\n]*")
    return match is not None and match[0] == "written successfully"


def command(session, handle, value):
    session.say(f"char-write-cmd 0x{handle:04x} {value.hex()}")


def notified(session, handle):
    """The next notification of this handle; the bytes' line is whole when its end has come."""
    match = session.expect(rf"Notification handle = 0x{handle:04x} value: ((?:[0-9a-f]{{2}} ?)+)\n")
    return bytes.fromhex(match[1]) if match else b""


def subscribe(checks, session, handle, what):
    # The descriptor behind the value, by its raw handle, as hobby clients do.
    checks.check(f"{what} is subscribed by its raw handle", request(session, handle + 1, b"\x01\x00"))


def authenticate(checks, session, auth, with_response, flag=0x00, dialect=0x00):
    def say(*write):
        if with_response:
            checks.check("a request is answered", request(*write))
        else:
            command(*write)

    say(session, auth, bytes([0x02 | dialect, flag]) + (b"\x02\x01\x00" if dialect else b""))
    reply = notified(session, auth)
    good = reply[:3] == bytes([0x10, 0x02 | dialect, 0x01]) and len(reply) == 19
    checks.check("the band sends a random number", good, reply)
    say(session, auth, bytes([0x03 | dialect, flag]) + band.proof(reply[3:19]) if good else b"\x03\x00")
    reply = notified(session, auth)
    return checks.check("it takes the proof", reply == bytes([0x10, 0x03 | dialect, 0x01]), reply)


def main(adapter="hci0", address="00:AA:01:01:00:01"):
    checks = band.Checks("gatttool")
    tool = Gatttool(adapter, address)
    handles = {uuid: value for _, value, uuid, _ in tool.characteristics()}
    missing = [uuid for uuid in (band.AUTH, band.BATTERY, band.NFC, band.TIME, band.SERIAL) if uuid not in handles]
    if not checks.check("the characteristics are found", not missing, missing or sorted(handles)):
        checks.end()
    auth, nfc = handles[band.AUTH], handles[band.NFC]

    # The dialects of hobby clients, of an older app, and of the open companion app.
    for flag, dialect, with_response in ((0x00, 0, False), (0x08, 0, False), (0x00, 0x80, False), (0x00, 0, True)):
        session = tool.session()
        name = f"{0x02 | dialect:02x} {flag:02x}, {'requests' if with_response else 'commands'}"
        if checks.check(f"connected for {name}", session.connected):
            subscribe(checks, session, auth, "authentication")
            authenticate(checks, session, auth, with_response, flag, dialect)
        session.close("quit")

    session = tool.session()
    if not checks.check("connected", session.connected):
        checks.end()
    serial = value_of(session, handles[band.SERIAL])
    checks.check("the serial number is read", isinstance(serial, bytes) and band.is_serial(serial), serial)
    battery = value_of(session, handles[band.BATTERY])
    checks.check("the battery is read", isinstance(battery, bytes) and band.is_battery(battery), battery)
    clock = value_of(session, handles[band.TIME])
    checks.check("the time is read", isinstance(clock, bytes) and band.is_time(clock), clock)
    for uuid, name in ((band.STEPS, "steps"), (band.HEART_RATE_CONTROL, "heart rate control"), (band.NFC, "NFC channel")):
        refused = value_of(session, handles[uuid])
        checks.check(f"{name} cannot be read before authentication", "can't be read" in str(refused), refused)

    subscribe(checks, session, auth, "authentication")
    authenticate(checks, session, auth, False)
    steps = value_of(session, handles[band.STEPS])
    checks.check("steps are read after authentication", isinstance(steps, bytes) and len(steps) == 13, steps)
    rate = value_of(session, handles[band.HEART_RATE_CONTROL])
    checks.check("heart rate control is read after authentication", isinstance(rate, bytes), rate)
    refused = value_of(session, nfc)
    checks.check("the NFC channel still cannot be read", "can't be read" in str(refused), refused)
    checks.check("a heart rate is asked for", request(session, handles[band.HEART_RATE_CONTROL], b"\x15\x02\x01"))
    checks.check("an alert is sent", request(session, handles[band.ALERT], b"\x05\x01Hello\x00"))

    now = datetime(2026, 3, 14, 15, 9, 26)
    fields = now.year.to_bytes(2, "little") + bytes([now.month, now.day, now.hour, now.minute, now.second])
    checks.check("the clock is set", request(session, handles[band.TIME], fields + bytes([now.isoweekday(), 0, 0, 0])))
    clock = value_of(session, handles[band.TIME])
    checks.check("and has gone on from there", isinstance(clock, bytes) and clock[:6] == fields[:6], clock)

    subscribe(checks, session, nfc, "the NFC channel")
    command(session, nfc, band.OPEN)
    reply = notified(session, nfc)
    checks.check("the NFC channel is opened", reply == band.OPENED, reply)
    for name, apdu in (("SELECT", band.SELECT_ISD), ("GET CPLC", band.GET_CPLC)):
        for fragment in band.fragments(apdu):
            command(session, nfc, fragment)
        parts = [notified(session, nfc)]
        while parts[-1] and parts[-1][0] == 0x84:
            parts.append(notified(session, nfc))
        rapdu = band.answer(parts) if parts[-1] else None
        checks.check(f"{name} is answered", rapdu is not None and rapdu[-2:] == b"\x90\x00", b" ".join(parts))
    command(session, nfc, band.CLOSE)
    reply = notified(session, nfc)
    checks.check("the NFC channel is closed", reply == band.CLOSED, reply)
    session.close("quit")
    checks.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
