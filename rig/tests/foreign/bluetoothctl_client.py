#!/usr/bin/env python3
"""`bluetoothctl` as a client of the band, with its menus and its choice of how to write.

    python3 rig/tests/foreign/bluetoothctl_client.py [ADAPTER [ADDRESS]]
"""

import re
import sys

import checks as band

# A line of a hex dump: two spaces, up to sixteen bytes, the text.
DUMP = r"((?:\n {2}(?:[0-9a-f]{2} )+ [^\n]*)+)\n"
LINE = re.compile(r"^ {2}((?:[0-9a-f]{2} )+)", re.MULTILINE)


def dumped(match):
    """Bytes of a dump; text may follow each line's bytes behind a wider gap."""
    return b"".join(bytes.fromhex(line) for line in LINE.findall(match[1])) if match else b""


def read(session, uuid):
    session.say(f"select-attribute {uuid}")
    session.say("read")
    if session.expect(r"Attempting to read") is None:
        return b""
    # It shows what it has read twice, as the change of a property and as the answer.
    shown = notified(session)
    once, again = shown[:len(shown) // 2], shown[len(shown) // 2:]
    return once if once == again else shown


def subscribe(checks, session, uuid, what):
    session.say(f"select-attribute {uuid}")
    session.say("notify on")
    checks.check(f"{what} is subscribed", session.expect(r"Notify started") is not None, session.heard[-200:])


def write(session, uuid, value):
    session.say(f"select-attribute {uuid}")
    session.say(f'write "{" ".join(f"0x{byte:02x}" for byte in value)}"')


def notified(session):
    return dumped(session.expect(r"Attribute \S+ Value:" + DUMP))


def main(adapter="hci0", address="00:AA:01:01:00:01"):
    checks = band.Checks("bluetoothctl")
    session = band.Terminal("bluetoothctl")
    session.say("list")
    own = band.address_of(adapter)
    session.say(f"select {own}")
    session.say("scan le")
    found = session.expect(rf"Device {address} ", 40)
    checks.check("the band is found", found is not None, session.heard[-200:])
    session.say("scan off")
    session.say(f"connect {address}")
    resolved = session.expect(r"ServicesResolved: yes|Failed to connect[^\n]*", 60)
    if not checks.check("connected", resolved and "yes" in resolved[0], resolved and resolved[0]):
        session.close("quit")
        checks.end()

    session.say(f"info {address}")
    advertised = session.expect(r"UUID: [^\n]*0000fee0-0000-1000-8000-00805f9b34fb")
    checks.check("it has the service FEE0", advertised is not None, session.heard[-200:])
    session.say("menu gatt")
    serial = read(session, band.SERIAL)
    checks.check("the serial number is read", band.is_serial(serial), serial)
    battery = read(session, band.BATTERY)
    checks.check("the battery is read", band.is_battery(battery), battery)
    clock = read(session, band.TIME)
    checks.check("the time is read", band.is_time(clock), clock)

    subscribe(checks, session, band.AUTH, "authentication")
    write(session, band.AUTH, b"\x02\x00")
    reply = notified(session)
    good = checks.check("the band sends a random number", reply[:3] == b"\x10\x02\x01" and len(reply) == 19, reply)
    write(session, band.AUTH, b"\x03\x00" + (band.proof(reply[3:]) if good else b""))
    reply = notified(session)
    checks.check("it takes the proof", reply == b"\x10\x03\x01", reply)

    subscribe(checks, session, band.NFC, "the NFC channel")
    write(session, band.NFC, band.OPEN)
    reply = notified(session)
    checks.check("the NFC channel is opened", reply == band.OPENED, reply)
    for fragment in band.fragments(band.SELECT_ISD):
        write(session, band.NFC, fragment)
    parts = [notified(session)]
    while parts[-1] and parts[-1][0] == 0x84:
        parts.append(notified(session))
    rapdu = band.answer(parts) if parts[-1] else None
    checks.check("SELECT is answered", rapdu is not None and rapdu[-2:] == b"\x90\x00", b" ".join(parts))
    write(session, band.NFC, band.CLOSE)
    reply = notified(session)
    checks.check("the NFC channel is closed", reply == band.CLOSED, reply)

    session.say("back")
    session.say(f"disconnect {address}")
    gone = session.expect(r"Successful disconnected|Disconnection successful|Connected: no")
    checks.check("disconnected", gone is not None, session.heard[-200:])
    session.say(f"remove {address}")
    session.expect(r"has been removed")
    session.close("quit")
    checks.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
