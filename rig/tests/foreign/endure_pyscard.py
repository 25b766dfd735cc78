"""Payment after payment with a band in a reader, by pyscard: every answer as it should be, and the band holds no more at the end.

    python endure_pyscard.py "Virtual PCD 00 00" PID COMMANDS

PID is the band's process. Pays with the first application of the directory; one whose counter has run out is no longer there, and must
refuse. Exits 1 at the first wrong answer, when the directory is empty, or when the band has more files or threads at the end than after
the first tenth, or a megabyte more of memory.
"""

import os
import sys
import time

from both_sides import Reader

OK, APPLICATION_BLOCKED, CONDITIONS_NOT_SATISFIED = 0x9000, 0x6283, 0x6985
PPSE = bytes.fromhex("00A404000E325041592E5359532E444446303100")
OPTIONS = bytes.fromhex("80A8000002830000")
# The rest of a Mastercard transaction, then what a card refuses: an unknown instruction, unknown data.
COMMANDS = [(bytes.fromhex(command), int(status, 16)) for command, status in [
    ("00B2010C00", "9000"),
    ("00B2011400", "9000"),
    ("80AE800026000000000420000000000000080400000080000978260101001A2B3C4D2200001F030212000000", "9000"),
    ("80AE800026000000000420000000000000080400000080000978260101001A2B3C4D2200001F030212000000", "6985"),
    ("80CA9F3600", "9000"),
    ("00FF000000", "6D00"),
    ("80CA9F9900", "6A88"),
]]
ALLOWED_GROWTH_KB = 1024


def held(process):
    """Memory in kB, open files, threads."""
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    return int(status["VmRSS"].split()[0]), len(os.listdir(f"/proc/{process}/fd")), int(status["Threads"])


class Card:
    """The card in the reader, and how many commands it has answered as expected."""

    def __init__(self, wanted):
        self.reader, self.sent = Reader(wanted), 0

    def send(self, command, status=OK):
        data, sw1, sw2 = self.reader.card.transmit(list(command))
        self.sent += 1
        if sw1 << 8 | sw2 != status:
            sys.exit(f"endure_pyscard: command {self.sent}, {command.hex().upper()}, was answered {sw1:02X}{sw2:02X}")
        return bytes(data)

    def select(self, aid, status=OK):
        self.send(bytes.fromhex("00A40400") + bytes([len(aid)]) + aid + b"\0", status)

    def first_application(self):
        answer = self.send(PPSE)
        at = answer.find(b"\x4F")
        if at < 0:
            sys.exit(f"endure_pyscard: after {self.sent} commands the directory is empty")
        return answer[at + 2:at + 2 + answer[at + 1]]

    def pay(self, aid):
        self.select(aid)
        self.send(OPTIONS)
        for command, status in COMMANDS:
            self.send(command, status)

    def refuses_to_begin(self, aid):
        self.select(aid, APPLICATION_BLOCKED)
        self.send(OPTIONS, CONDITIONS_NOT_SATISFIED)


def main():
    wanted, process, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    card = Card(wanted)
    began, before, paying, spent = time.monotonic(), None, None, 0
    while card.sent < count:
        aid = card.first_application()
        if paying not in (None, aid):
            card.refuses_to_begin(paying)
            spent += 1
        paying = aid
        card.pay(aid)
        if before is None and card.sent >= count / 10:
            before = held(process)
    after = held(process)
    card.reader.card.disconnect()
    growth = [now - then for now, then in zip(after, before)]
    print(f"endure_pyscard: {card.sent} commands, {card.sent / (time.monotonic() - began):.0f}/s, {spent} counters run out; "
          f"memory {after[0]} kB ({growth[0]:+}), files {after[1]} ({growth[1]:+}), threads {after[2]} ({growth[2]:+})")
    if growth[0] > ALLOWED_GROWTH_KB or growth[1] > 0 or growth[2] > 0:
        sys.exit("endure_pyscard: the band holds more and more")


main()
