#!/usr/bin/env python3
"""A client written with the PyPI package bleak, which neither end of the bench shares a line with.

    python3 rig/tests/foreign/bleak_client.py [ADAPTER [ADDRESS]]
"""

import asyncio
import sys

import bleak
import checks as band

NAME = "Mi Smart Band 4"
SERVICE = band.SIG.format("fee0")
COMPANY = 0x0157
PATIENCE = 30


class Listener:
    """Notifications of one characteristic, in order."""

    def __init__(self):
        self.values = asyncio.Queue()

    def __call__(self, _, value):
        self.values.put_nowait(bytes(value))

    async def next(self):
        try:
            return await asyncio.wait_for(self.values.get(), PATIENCE)
        except asyncio.TimeoutError:
            return b""


async def exchange(client, listener, apdu):
    for fragment in band.fragments(apdu):
        await client.write_gatt_char(band.NFC, fragment, response=False)
    parts = [await listener.next()]
    while parts[-1] and parts[-1][0] == 0x84:
        parts.append(await listener.next())
    return band.answer(parts) if parts[-1] else None


async def run(checks, adapter, address):
    devices = {}
    async with bleak.BleakScanner(lambda device, heard: devices.update({device.address: (device, heard)}), adapter=adapter):
        for _ in range(PATIENCE * 10):
            if address in devices:
                break
            await asyncio.sleep(0.1)
    if not checks.check("the band is found", address in devices, sorted(devices)):
        return
    device, heard = devices[address]
    checks.check("by its name", heard.local_name == NAME, heard)
    checks.check("it advertises the service FEE0", SERVICE in heard.service_uuids, heard)
    checks.check("no manufacturer data, which does not fit", COMPANY not in heard.manufacturer_data, heard)
    # bluetoothd 5.66 now and then says that a band it has just met is known in full before it is: then it is met anew.
    for last in (False, False, True):
        async with bleak.BleakClient(device, adapter=adapter, timeout=2 * PATIENCE) as client:
            if last or all(client.services.get_characteristic(uuid) for uuid in (band.SERIAL, band.AUTH, band.NFC)):
                await talk(checks, client)
                return
        print("        bluetoothd has not all services; once more")


async def talk(checks, client):
    serial = bytes(await client.read_gatt_char(band.SERIAL))
    checks.check("the serial number is read", band.is_serial(serial), serial)
    battery = bytes(await client.read_gatt_char(band.BATTERY))
    checks.check("the battery is read", band.is_battery(battery), battery)
    clock = bytes(await client.read_gatt_char(band.TIME))
    checks.check("the time is read", band.is_time(clock), clock)
    try:
        got = await client.read_gatt_char(band.STEPS)
    except bleak.BleakError as error:
        got = str(error)
    checks.check("steps cannot be read before authentication", "NotPermitted" in got or "not permitted" in got, got)

    auth = Listener()
    await client.start_notify(band.AUTH, auth)
    await client.write_gatt_char(band.AUTH, b"\x02\x00", response=False)
    random = await auth.next()
    checks.check("the band sends a random number", random[:3] == b"\x10\x02\x01" and len(random) == 19, random)
    await client.write_gatt_char(band.AUTH, b"\x03\x00" + bytes(16), response=False)
    refused = await auth.next()
    checks.check("a wrong proof is refused", refused == b"\x10\x03\x08", refused)
    await client.write_gatt_char(band.AUTH, b"\x02\x00", response=True)
    random = await auth.next()
    await client.write_gatt_char(band.AUTH, b"\x03\x00" + band.proof(random[3:19].ljust(16, b"\0")), response=True)
    taken = await auth.next()
    checks.check("the right one is taken, by requests as well", taken == b"\x10\x03\x01", taken)
    steps = bytes(await client.read_gatt_char(band.STEPS))
    checks.check("steps are read after authentication", len(steps) == 13, steps)
    await wear(checks, client)

    nfc = Listener()
    await client.start_notify(band.NFC, nfc)
    await client.write_gatt_char(band.NFC, band.OPEN, response=False)
    opened = await nfc.next()
    checks.check("the NFC channel is opened", opened == band.OPENED, opened)
    rapdu = await exchange(client, nfc, band.SELECT_ISD)
    checks.check("SELECT is answered", rapdu is not None and rapdu[-2:] == b"\x90\x00", rapdu)
    cplc = await exchange(client, nfc, band.GET_CPLC)
    checks.check("GET CPLC is answered", cplc is not None and cplc[:3] == b"\x9f\x7f\x2a" and len(cplc) == 47, cplc)
    await client.write_gatt_char(band.NFC, band.CLOSE, response=False)
    closed = await nfc.next()
    checks.check("the NFC channel is closed", closed == band.CLOSED, closed)


async def listen(client, characteristic):
    listener = Listener()
    await client.start_notify(characteristic, listener)
    return listener


async def wear(checks, client):
    """What hobby clients do with a band all day, each in its own dialect."""
    # No time zone, and a day of the week that counts Monday as 0.
    now = bytes([0xE8, 0x07, 2, 29, 12, 30, 0])
    await client.write_gatt_char(band.TIME, now + bytes([3, 0, 0, 0]), response=True)
    clock = bytes(await client.read_gatt_char(band.TIME))
    checks.check("the clock is set", clock[:6] == now[:6] and clock[6] < 30, clock)

    await client.write_gatt_char(band.ALERT, b"\x05\x01Title\x00Text\x00", response=True)
    await client.write_gatt_char(band.PERSON, bytes([0x10, 0, 0, 0x40, 0x1F, 0, 0]), response=True)
    checks.check("an alert and a goal are taken", True)
    config = await listen(client, band.CONFIG)
    for request, reply in [
        (b"\x06\x17\x00en_US", "10 06 17 00 01"),
        (b"\x06\x06\x00\x01", "10 06 06 00 01"),
        (b"\x06\x21\x00\x011234\x00", "10 06 21 00 01"),
    ]:
        await client.write_gatt_char(band.CONFIG, request, response=False)
        got = await config.next()
        checks.check(f"the setting {request[1]:02x} is taken", got == bytes.fromhex(reply), got)
    chunked = await listen(client, band.CHUNKED)
    for chunk in (b"\x00\x03\x00" + bytes(17), b"\x00\x83\x01song\x00"):
        await client.write_gatt_char(band.CHUNKED, chunk, response=False)
    got = await chunked.next()
    checks.check("a song in two chunks is taken", got == bytes.fromhex("10 00 83 01 01"), got)

    heart = await listen(client, band.HEART_RATE)
    for request in (b"\x15\x01\x00", b"\x15\x02\x00", b"\x15\x02\x01"):
        await client.write_gatt_char(band.HEART_RATE_CONTROL, request, response=True)
    rate = await heart.next()
    checks.check("the heart rate is measured once", len(rate) == 2 and rate[0] == 0 and rate[1] > 0, rate)
    fetch = await listen(client, band.FETCH)
    await listen(client, band.RECORDS)
    await client.write_gatt_char(band.FETCH, b"\x01\x01" + now[:6] + b"\x00\x17", response=False)
    got = await fetch.next()
    checks.check("the band has recorded nothing", got[:7] == bytes.fromhex("10 01 01 00 00 00 00") and len(got) == 15, got)
    await client.write_gatt_char(band.FETCH, b"\x02", response=False)
    got = await fetch.next()
    checks.check("which is the end of it", got == bytes.fromhex("10 02 04"), got)


async def main(adapter="hci0", address="00:AA:01:01:00:01"):
    checks = band.Checks("bleak")
    try:
        await run(checks, adapter, address)
    except (bleak.BleakError, asyncio.TimeoutError, EOFError) as error:
        checks.check("it talks to the band", False, repr(error))
    checks.end()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
