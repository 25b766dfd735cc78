"""A PIN in the card, by a foreign terminal and a foreign issuer: pyscard brings the card, pyemv has the issuer's keys.

On contacts: the PIN is asked for as the card's list (8E) has it, wrong ones are counted and block it, the issuer unblocks it by its
script. In the field there is none. The issuer reads all of that in the card verification results, which the cryptogram covers.

    python verify_pyscard.py "Virtual PCD 00 01" contact ../../../fixtures/cards/mastercard-chip-and-pin.yaml

Of the product's file it uses the keys and the PIN alone.
"""

import sys

from both_sides import Issuer, Reader, applications, cryptogram, fail, opened
from pay_pyscard import TERMINAL, find
from ruamel.yaml import YAML

BLOCKED, BLOCKED_BEFORE, NO_SUCH_COMMAND = 0x6983, 0x6984, 0x6D00
SUCCESSFUL, UNKNOWN = "410302", "420300"
# M/Chip: where in 9F10 the results are, and bits of their bytes 1 and 4. VSDC has bytes 2 and 3, counted from their length.
MASTERCARD = {"at": 2, "performed": (0, 0x04), "successful": (0, 0x01), "tries": 2, "not performed": (3, 0x20), "failed": (3, 0x10),
              "blocked": (3, 0x08), "erroneously ok": (3, 0x01)}
VISA = {"at": 3, "performed": (1, 0x04), "failed": (1, 0x02), "blocked": (2, 0x40)}


def block(digits):
    """EMV 4.4 B3 table 25."""
    return bytes.fromhex(f"2{len(digits):X}{digits:F<14}")


class Payment:
    """A transaction on contacts up to its first cryptogram."""

    def __init__(self, reader, product):
        self.reader, self.product = reader, product
        (aid, *_) = applications(reader, False)
        self.card = opened(reader, aid)

    def tries(self):
        return find(self.reader.command("80CA9F17"), "9F17")[0][0]

    def verify(self, digits, good):
        data = block(digits)
        self.reader.send(bytes.fromhex("00200080") + bytes([len(data)]) + data, good=(good,))

    def ask(self, verified, told):
        """An ARQC whose results say just this of the PIN, and nothing else that they could say."""
        TERMINAL["9F34"] = verified
        self.card.update(cryptogram(self.reader, 0x80, self.card["8C"]))
        Issuer(self.product, self.card).check("cryptogram", self.card)
        places = MASTERCARD if self.product["scheme"] == "mastercard" else VISA
        results = self.card["9F10"][places["at"]:]
        said = {name for name, place in places.items() if isinstance(place, tuple) and results[place[0]] & place[1]}
        if said != told & set(places):
            fail(f"the card says of its PIN: {sorted(said)}, and should say {sorted(told)}")
        if "tries" in places and results[places["tries"]] & 0x0F != self.tries():
            fail("the tries in the results are not those of the counter")

    def unblock(self):
        """The issuer's script PIN CHANGE/UNBLOCK."""
        header = bytes.fromhex("8424000008")
        mac = Issuer(self.product, self.card).keys.generate_command_mac(header, self.card["9F26"], self.card["9F36"])
        self.reader.send(header + bytes([mac[0] ^ 1]) + mac[1:], good=(0x6988,))
        self.reader.send(header + mac)


def on_contacts(reader, product):
    digits = product["offline_pin"]["digits"]
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)

    payment = Payment(reader, product)
    methods = {method & 0x3F for method in payment.card["8E"][8::2]}
    if 0x01 not in methods:
        fail("the card's list has no PIN in the card")
    if payment.tries() != 3:
        fail("three tries are not what the card begins with")
    payment.verify(wrong, 0x63C2)
    payment.verify(digits + "0", 0x63C1)
    payment.verify(digits, 0x9000)
    payment.ask(SUCCESSFUL, {"performed", "successful"})
    payment.verify(digits, 0x6985)

    payment = Payment(reader, product)
    payment.ask(SUCCESSFUL, {"not performed", "erroneously ok"})

    payment = Payment(reader, product)
    for left in (2, 1, 0):
        payment.verify(wrong, 0x63C0 | left)
    payment.verify(digits, BLOCKED)
    payment.ask(UNKNOWN, {"performed", "failed", "blocked"})

    reader.card.reconnect(disposition=2)
    payment = Payment(reader, product)
    if payment.tries() != 0:
        fail("a reset gave the tries back")
    payment.verify(digits, BLOCKED_BEFORE)
    payment.ask(UNKNOWN, {"not performed", "blocked"})
    payment.unblock()

    payment = Payment(reader, product)
    payment.verify(digits, 0x9000)
    payment.ask(SUCCESSFUL, {"performed", "successful"})


def in_the_field(reader, product):
    (aid, *_) = applications(reader, True)
    opened(reader, aid)
    reader.send(bytes.fromhex("0020008008") + block(product["offline_pin"]["digits"]), good=(NO_SUCH_COMMAND,))
    reader.command("80CA9F17", good=(0x6A88,))


def main():
    wanted, interface, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        product = YAML(typ="safe").load(file)
    reader = Reader(wanted)
    {"contact": on_contacts, "contactless": in_the_field}[interface](reader, product)
    reader.card.disconnect()
    print(f"verify_pyscard: {product['name']} {interface}: the PIN is as it should be")


if __name__ == "__main__":
    main()
