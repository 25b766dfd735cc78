#!/usr/bin/env python3
"""The attribute table that is served, read by foreign clients, against the profile and against the README.

What differs must be exactly what the README's table of BlueZ's differences lists, where bluetoothd has room for the profile's handles from
the first one on that can be had. Run it on a fresh band: values are compared too.

    python3 rig/tests/foreign/served_table.py [ADAPTER [ADDRESS [FIRST]]]
"""

import asyncio
import pathlib
import re
import sys

import bleak
import checks as band
import ruamel.yaml
from gatttool import Gatttool
from gatttool_client import authenticate, request, subscribe, value_of

# 180A is at 0x09 in the profile, where bluetoothd has 1801.
FIRST = "0x14"
ROOT = pathlib.Path(__file__).resolve().parents[3]
PROFILE = ROOT / "fixtures/profiles/mi-smart-band-4-nfc.yaml"
HEADING = "### What BlueZ makes different"
PROPERTIES = {"read": 0x02, "write_without_response": 0x04, "write": 0x08, "notify": 0x10}
NOT_FOR_US = ("1800", "1801")
# The echo server's; of a bluetoothd with experimental features (`-E`), volume control.
OTHERS = ("FFE0", "1844")
DECLARATIONS = tuple(band.SIG.format(uuid) for uuid in ("2800", "2801", "2803"))

# The differences as the README has them, which are the words of `band --log debug`.
OWN_SERVICES = "services 1800 and 1801 are bluetoothd's own"
HANDLES = "handles below 0x{:02X} are given by bluetoothd"
WRITES = "writes are taken with and without a response"
LONG_WRITES = "writes of 511 and 512 bytes with a response are refused"
ERRORS = "errors that BlueZ has no name for arrive as 0x80"
MANUFACTURER = "the manufacturer data is not advertised: it does not fit"


def full(uuid):
    base = band.PRIVATE if uuid.startswith("H:") else band.SIG
    return base.format(uuid.removeprefix("H:").lower())


def profile_table():
    """(service, [(uuid, properties, descriptors)]) of the profile, what is known of each characteristic, and all handles by service."""
    services = ruamel.yaml.YAML(typ="safe", pure=True).load(PROFILE.read_text(encoding="utf-8"))["gatt"]["services"]
    table, known, handles = [], {}, {}
    for service in services:
        characteristics = []
        handles[full(service["uuid"])] = [service["handle"]]
        for found in service.get("characteristics", []):
            properties = sum(PROPERTIES[name] for name in found["properties"])
            descriptors = sorted(full(each["uuid"]) for each in found.get("descriptors", []))
            characteristics.append((full(found["uuid"]), properties, descriptors))
            known[full(service["uuid"]), full(found["uuid"])] = found
            value = found["handle"]
            inside = [value - 1, value, *(each["handle"] for each in found.get("descriptors", []))]
            handles[full(service["uuid"])] += inside
        table.append((full(service["uuid"]), sorted(characteristics)))
    return sorted(table), known, handles


def served_table(tool):
    """The same of what is served: the table, the value handles, all handles by service."""
    characteristics, attributes = tool.characteristics(), tool.attributes()
    table, handles, ranges = [], {}, {}
    for first, last, service in tool.services():
        ranges[service] = [handle for handle, _ in attributes if first <= handle <= last]
        inside = [each for each in characteristics if first <= each[0] <= last]
        found = []
        for declaration, value, uuid, properties in inside:
            end = min((each[0] for each in inside if each[0] > declaration), default=last + 1)
            between = [kind for handle, kind in attributes if value < handle < end and kind not in DECLARATIONS]
            found.append((uuid, properties, sorted(between)))
            handles[service, uuid] = value
        table.append((service, sorted(found)))
    return sorted(table), handles, ranges


def values(checks, session, handles, known):
    """Every readable value before authentication: open or shut, and with the profile's bytes where it has some."""
    for (service, uuid), found in sorted(known.items()):
        if "read" not in found["properties"]:
            continue
        got = value_of(session, handles[service, uuid])
        where = f"{service[4:8]}/{uuid[4:8]}"
        if found["read"]["value"] != "open":
            checks.check(f"{where} cannot be read before authentication", "can't be read" in str(got), got)
        elif "value" in found:
            wanted = bytes.fromhex(found["value"]["value"])
            checks.check(f"{where} has the profile's value", got == wanted, got)
        else:
            checks.check(f"{where} can be read", isinstance(got, bytes), got)


def descriptors(checks, session, known, first):
    """Every descriptor of which the profile has a value, where its handle is kept."""
    for (service, uuid), found in sorted(known.items()):
        for each in found.get("descriptors", []):
            if "value" in each and each["handle"] >= first:
                got = value_of(session, each["handle"])
                where = f"{service[4:8]}/{uuid[4:8]}/{each['uuid']}"
                checks.check(f"{where} has the profile's value", got == bytes.fromhex(each["value"]["value"]), got)


async def hears_manufacturer_data(adapter, address):
    heard = asyncio.get_running_loop().create_future()

    def listen(device, advertisement):
        if device.address == address and not heard.done():
            heard.set_result(bool(advertisement.manufacturer_data))

    try:
        async with bleak.BleakScanner(listen, adapter=adapter):
            return await asyncio.wait_for(heard, 30)
    except asyncio.TimeoutError:
        return None


def listed():
    """First cells of the README's table."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition(HEADING)[2].partition("\n#")[0]
    cells = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    return {cell for cell in cells[1:] if not re.fullmatch(r"-+", cell)}


def main(adapter="hci0", address="00:AA:01:01:00:01", first=FIRST):
    checks = band.Checks("table")
    manufacturer_data = asyncio.run(hears_manufacturer_data(adapter, address))
    tool = Gatttool(adapter, address)
    wanted, known, own_handles = profile_table()
    served, handles, ranges = served_table(tool)
    own = tuple(map(full, NOT_FOR_US))

    theirs = [service for service in served if service[0] in own]
    differs = {OWN_SERVICES} if theirs != [service for service in wanted if service[0] in own] else set()
    own += tuple(map(full, OTHERS))
    served = [service for service in served if service[0] not in own]
    wanted = [service for service in wanted if service[0] not in own]
    known = {names: found for names, found in known.items() if names[0] not in own}
    names = [service for service, _ in served]
    checks.check("it has the profile's services", names == [service for service, _ in wanted], names)
    for (service, characteristics), (_, expected) in zip(served, wanted):
        is_same = characteristics == expected
        odd = [each for each in characteristics + expected if (each in characteristics) != (each in expected)]
        checks.check(f"{service[4:8]} has the profile's characteristics, properties and descriptors", is_same, odd)
    first = int(first, 16)
    ours = [service for service in own_handles if service not in own]
    kept = [service for service in ours if own_handles[service][0] >= first]
    odd = {service[4:8]: ranges[service] for service in kept if ranges[service] != own_handles[service]}
    checks.check(f"from 0x{first:02X} on each attribute has the profile's handle", not odd, odd)
    # A phone that knows a service at the same handles takes it for the same throughout.
    others = [service for service in ours if service not in kept]
    in_order = sorted(known, key=lambda names: handles.get(names, 0))
    expected = [names for service in kept + others for names in known if names[0] == service]
    checks.check("the other services come behind, all in the profile's order", in_order == expected, in_order)
    if any(handles.get(names) != found["handle"] for names, found in known.items()):
        differs.add(HANDLES.format(first))
    checks.check("it is heard", manufacturer_data is not None)
    if manufacturer_data is False:
        differs.add(MANUFACTURER)

    session = tool.session()
    if checks.check("connected", session.connected):
        values(checks, session, handles, known)
        descriptors(checks, session, known, first)
        if request(session, handles[full("FEE1"), band.AUTH], b"\x02\x00"):
            differs.add(WRITES)
        auth = handles[full("FEE1"), band.AUTH]
        subscribe(checks, session, auth, "authentication")
        authenticate(checks, session, auth, False)
        # A setting that no band knows: 0x13 in the profile's words, which gatttool has no words for.
        session.say(f"char-write-req 0x{handles[full('FEE0'), full('H:0008')]:04x} ee")
        match = session.expect(r"written successfully|Error: ([^\n]*)\n")
        if match and "application error" in (match[1] or ""):
            differs.add(ERRORS)
        # The last of what is looked at: the band keeps what is written.
        session.say("mtu 517")
        session.expect(r"MTU was exchanged successfully|Error[^\n]*")
        writable = handles[full("FEE1"), full("FED0")]
        if [length for length in (509, 510, 511, 512) if not request(session, writable, bytes(length))] == [511, 512]:
            differs.add(LONG_WRITES)
    session.close("quit")
    expected = {HANDLES.format(first) if cell == HANDLES.format(int(FIRST, 16)) else cell for cell in listed()}
    checks.check("what differs is what the README lists", differs == expected, sorted(differs ^ expected))
    checks.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
