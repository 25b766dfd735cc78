"""A whole payment with a foreign terminal and a foreign issuer: pyscard brings the card, pyemv has the issuer's keys.

Finds the card by its directory, selects the first application, reads all its records, asks for an online cryptogram, checks that as its
issuer would, and on contacts answers as its issuer would and completes the transaction; twice. Knows Mastercard and Visa, on contacts
and in the field. Exits 1 and says what is wrong at the first disagreement.

    /usr/bin/python3 both_sides.py "Virtual PCD 00 00" contactless ../../../fixtures/cards/visa-debit.yaml

Of the product's file it uses the keys alone.
"""

import sys
import time

from pay_pyscard import TERMINAL as TEXT, check_byte, filled, find, tlv
from pyemv.cvn import MasterCardCVN16, MasterCardCVN20, VisaCVN10, VisaCVN18, VisaCVN22
from ruamel.yaml import YAML
from smartcard.CardRequest import CardRequest
from smartcard.CardType import AnyCardType
from smartcard.Exceptions import CardConnectionException
from smartcard.System import readers

TEXT["8A"] = "3030"
TERMINAL = {tag: bytes.fromhex(value) for tag, value in TEXT.items()}
ANOTHER_AMOUNT = bytes.fromhex("000000000421")

MASTERCARD = {0x10: MasterCardCVN16, 0x14: MasterCardCVN20}
VISA = {0x0A: VisaCVN10, 0x12: VisaCVN18, 0x16: VisaCVN22}


def fail(words):
    print(f"both_sides: {words}", file=sys.stderr)
    sys.exit(1)


class Reader:
    """The one reader of that name, and the card in it."""

    def __init__(self, wanted):
        matching = [reader for reader in readers() if str(reader) == wanted]
        if len(matching) != 1:
            fail(f"no reader {wanted!r} among {[str(reader) for reader in readers()]}")
        deadline = time.monotonic() + 20
        # Waits on the reader's state; the daemon may still be busy with the card when it says that there is one.
        # Kept: pyscard 2.3 gives the connection up with the service, 2.0 does not.
        self.service = CardRequest(timeout=20, readers=matching, cardType=AnyCardType()).waitforcard()
        self.card = self.service.connection
        while True:
            try:
                self.card.connect()
                break
            except CardConnectionException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def send(self, command, good=(0x9000,)):
        data, sw1, sw2 = self.card.transmit(list(command))
        sw = sw1 << 8 | sw2
        if sw not in good:
            fail(f"{bytes(command).hex().upper()} was answered {sw:04X}")
        return bytes(data) if sw == 0x9000 else None

    def command(self, header, data=b"", good=(0x9000,)):
        """A command with data, or without, that wants an answer."""
        lc = bytes([len(data)]) if data else b""
        return self.send(bytes.fromhex(header) + lc + data + b"\0", good)

    def check_answer_to_reset(self, contactless):
        atr = bytes(self.card.getATR())
        if contactless != (atr[0] == 0x3B and atr[1] & 0xF0 == 0x80 and atr[2:4] == b"\x80\x01"):
            fail(f"{atr.hex()} has the wrong form")
        check_byte(atr)
        uid = self.command("FFCA0000", good=(0x9000,) if contactless else (0x6A81,))
        if contactless and len(uid) not in (4, 7, 10):
            fail("the UID has no length that ISO 14443-3 knows")


def applications(reader, contactless):
    """The identifiers in the card's directory, the first choice first."""
    if contactless:
        answer = reader.command("00A40400", b"2PAY.SYS.DDF01")
        entries = find(answer, "6F", "A5", "BF0C", "61")
    else:
        answer = reader.command("00A40400", b"1PAY.SYS.DDF01")
        (sfi,) = find(answer, "6F", "A5", "88")
        entries, number = [], 1
        while True:
            record = reader.command(f"00B2{number:02X}{sfi[0] << 3 | 4:02X}", good=(0x9000, 0x6A83))
            if record is None:
                break
            entries += find(record, "70", "61")
            number += 1
    if not entries:
        fail("the directory lists nothing")
    entries.sort(key=lambda entry: find(entry, "87")[0][0] & 0x0F)
    return [find(entry, "4F")[0] for entry in entries]


def opened(reader, aid):
    """Selects an application, opens a transaction and reads every record: the card's data."""
    fci = reader.command("00A40400", aid)
    if find(fci, "6F", "84") != [aid]:
        fail("the FCI is not that of the application that was selected")
    pdol = filled((find(fci, "6F", "A5", "9F38") or [b""])[0])
    options = reader.command("80A80000", b"\x83" + bytes([len(pdol)]) + pdol)
    template, value = next(tlv(options))
    card = {"82": value[:2], "94": value[2:]} if template == "80" else dict(tlv(value))
    afl = card.get("94", b"")
    for at in range(0, len(afl), 4):
        sfi, first, last = afl[at] >> 3, afl[at + 1], afl[at + 2]
        for number in range(first, last + 1):
            record = reader.command(f"00B2{number:02X}{sfi << 3 | 4:02X}")
            for tag, value in tlv(find(record, "70")[0]):
                if card.setdefault(tag, value) != value:
                    fail(f"{tag} stands in two records")
    if "57" not in card:
        fail("track 2 is missing")
    card.setdefault("5A", bytes.fromhex(number_of(card["57"].hex().upper().split("D")[0])))
    if card["57"].hex().upper().split("D")[0] != card["5A"].hex().upper().rstrip("F"):
        fail("track 2 and 5A have different numbers")
    return card


def number_of(digits):
    return digits + "F" * (len(digits) % 2)


def cryptogram(reader, control, dol):
    data = filled(dol)
    template, value = next(tlv(reader.command(f"80AE{control:02X}00", data)))
    if template == "80":
        return {"9F27": value[:1], "9F36": value[1:3], "9F26": value[3:11], "9F10": value[11:]}
    return dict(tlv(value))


class Issuer:
    """The bank's side, by pyemv."""

    def __init__(self, product, card):
        keys = [bytes.fromhex(product["keys"][name]) for name in ("ac", "smi", "smc")]
        self.mastercard = product["scheme"] == "mastercard"
        iad = card["9F10"]
        version = iad[1] if self.mastercard else iad[2]
        self.version = (MASTERCARD if self.mastercard else VISA).get(version)
        if self.version is None:
            fail(f"pyemv has no check for cryptogram version {version:02X}")
        number = card["5A"].hex().upper().rstrip("F")
        self.keys = self.version(*keys, number, card.get("5F34", b"\0").hex())

    def check(self, what, card):
        """The cryptogram is right, and would not be for another amount."""
        def expected(amount):
            iad = card["9F10"]
            covered = iad[2:8] if self.mastercard else iad[3:7] if self.version is VisaCVN10 else iad
            return self.keys.generate_ac(
                amount, TERMINAL["9F03"], TERMINAL["9F1A"], TERMINAL["95"], TERMINAL["5F2A"], TERMINAL["9A"], TERMINAL["9C"],
                TERMINAL["9F37"], card["82"], card["9F36"], covered)

        if expected(TERMINAL["9F02"]) != card["9F26"]:
            fail(f"{what}: pyemv makes {expected(TERMINAL['9F02']).hex()}, the card made {card['9F26'].hex()}")
        if expected(ANOTHER_AMOUNT) == card["9F26"]:
            fail(f"{what}: another amount has the same cryptogram")

    def answer(self, card):
        """Issuer authentication data (91) that approve."""
        if self.mastercard:
            code = b"\x00\x10"
            if self.version is MasterCardCVN16:
                return self.keys.generate_arpc(card["9F26"], code) + code
            return self.keys.generate_arpc(card["9F26"], card["9F36"], code) + code
        if self.version is VisaCVN10:
            return self.keys.generate_arpc(card["9F26"], b"00") + b"00"
        status = bytes.fromhex("00820000")
        return self.keys.generate_arpc(card["9F26"], card["9F36"], status) + status


def complete(reader, issuer, card):
    """On contacts: the issuer's answer, and the second cryptogram."""
    authentication = issuer.answer(card)
    TEXT["91"] = authentication.hex()
    spoilt = bytes([authentication[0] ^ 1]) + authentication[1:]
    if card["82"][0] & 0x04:
        reader.send(bytes.fromhex("00820000") + bytes([len(authentication)]) + authentication)
        reader.send(bytes.fromhex("00820000") + bytes([len(spoilt)]) + spoilt, good=(0x6985,))
    final = cryptogram(reader, 0x40, card["8D"])
    if final["9F27"][0] & 0xC0 != 0x40:
        fail(f"asked for a TC, got cryptogram information {final['9F27'].hex()}")
    if final["9F36"] != card["9F36"]:
        fail("the counter went on within one transaction")
    issuer.check("TC", {**card, **final})


def main():
    wanted, interface, path = sys.argv[1:]
    contactless = {"contactless": True, "contact": False}[interface]
    with open(path, encoding="utf-8") as file:
        product = YAML(typ="safe").load(file)
    reader = Reader(wanted)
    reader.check_answer_to_reset(contactless)
    counters = []
    for _ in range(2):
        (aid, *_) = applications(reader, contactless)
        card = opened(reader, aid)
        if not contactless and card["82"][0] & 0x20:
            ddol = filled(card["9F49"])
            signed = reader.command("00880000", ddol)
            if len(find(signed, "77", "9F4B") or find(signed, "80")) != 1:
                fail("INTERNAL AUTHENTICATE is not answered with one signature")
        decided_at_once = "9F26" in card
        if not decided_at_once:
            if "8C" not in card or "8D" not in card and not contactless:
                fail("CDOL1 or CDOL2 is missing")
            card.update(cryptogram(reader, 0x80, card["8C"]))
        # A Visa card in the field may decide by itself.
        decisions = (0x80, 0x40) if decided_at_once else (0x80,)
        if card["9F27"][0] & 0xC0 not in decisions:
            fail(f"asked for an ARQC, got cryptogram information {card['9F27'].hex()}")
        issuer = Issuer(product, card)
        issuer.check("cryptogram", card)
        if not contactless:
            complete(reader, issuer, card)
        if "8C" in card:
            data = filled(card["8C"])
            reader.command("80AE8000", data, good=(0x6985,))
        counters.append(int.from_bytes(card["9F36"], "big"))
        # A reset forgets the selection.
        reader.card.reconnect(disposition=1)
        reader.command("00B2010C", good=(0x6985,))
    reader.card.disconnect()
    if counters[1] != counters[0] + 1:
        fail(f"the counters of two payments are {counters}")
    print(f"both_sides: {product['name']} {interface}: {len(card)} objects, two payments, {issuer.version.__name__} agrees")


if __name__ == "__main__":
    main()
