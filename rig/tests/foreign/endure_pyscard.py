"""Payment after payment with a band in a reader, by pyscard: every answer as it should be, and the band's memory does not grow.

    /usr/bin/python3 endure_pyscard.py "Virtual PCD 00 00" PID COMMANDS

PID is the band's process. Exits 1 at the first wrong answer, or when the band holds more than a megabyte more at the end than after the
first tenth.
"""

import sys
import time

from smartcard.CardRequest import CardRequest
from smartcard.CardType import AnyCardType
from smartcard.Exceptions import CardConnectionException
from smartcard.System import readers

# A Mastercard transaction, then what a card refuses: an unknown instruction, unknown data.
COMMANDS = [(bytes.fromhex(command), int(status, 16)) for command, status in [
    ("00A404000E325041592E5359532E444446303100", "9000"),
    ("00A4040007A000000004101000", "9000"),
    ("80A8000002830000", "9000"),
    ("00B2010C00", "9000"),
    ("00B2011400", "9000"),
    ("80AE800026000000000420000000000000080400000080000978260101001A2B3C4D2200001F030212000000", "9000"),
    ("80AE800026000000000420000000000000080400000080000978260101001A2B3C4D2200001F030212000000", "6985"),
    ("80CA9F3600", "9000"),
    ("00FF000000", "6D00"),
    ("80CA9F9900", "6A88"),
]]
ALLOWED_GROWTH_KB = 1024


def memory_kb(process):
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def connect(wanted):
    matching = [reader for reader in readers() if str(reader) == wanted]
    if len(matching) != 1:
        sys.exit(f"endure_pyscard: no reader {wanted!r}")
    deadline = time.monotonic() + 20
    connection = CardRequest(timeout=20, readers=matching, cardType=AnyCardType()).waitforcard().connection
    while True:
        try:
            connection.connect()
            return connection
        except CardConnectionException:
            # The daemon has seen the card and is still busy with it.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main():
    wanted, process, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    connection = connect(wanted)
    began, sent, after_first_tenth = time.monotonic(), 0, None
    while sent < count:
        for command, status in COMMANDS:
            _, sw1, sw2 = connection.transmit(list(command))
            sent += 1
            if sw1 << 8 | sw2 != status:
                sys.exit(f"endure_pyscard: command {sent}, {command.hex().upper()}, was answered {sw1:02X}{sw2:02X}")
        if after_first_tenth is None and sent >= count / 10:
            after_first_tenth = memory_kb(process)
    growth = memory_kb(process) - after_first_tenth
    connection.disconnect()
    print(f"endure_pyscard: {sent} commands, {sent / (time.monotonic() - began):.0f}/s, memory {growth:+} kB")
    if growth > ALLOWED_GROWTH_KB:
        sys.exit(f"endure_pyscard: the band's memory grew by {growth} kB")


main()
