"""A whole payment by a program that shares nothing with this project but the standards.

Reader and card come through pyscard (PC/SC). Finds the card by its directory, selects the first application, reads all its records,
asks for an online cryptogram and prints everything as JSON for `arqc_pyemv.py`. Exits 1 and says what is wrong at the first
disagreement.

    /usr/bin/python3 pay_pyscard.py "Virtual PCD 00 00" >payment.json

With `--contact` and the card's file the card lies on contacts: the directory is that of the PSE, the card signs what it is asked to,
its certificates are followed from the scheme's key, and the payment goes on after the bank's answer, which pyemv makes with the issuer's keys, to the second cryptogram.

    python pay_pyscard.py "Virtual PCD 00 01" --contact CARD.yaml AUTHORITIES.yaml >payment.json
"""

import hashlib
import json
import sys

from smartcard.CardRequest import CardRequest
from smartcard.CardType import AnyCardType
from smartcard.System import readers

TERMINAL = {
    "9F02": "000000000420", "9F03": "000000000000", "9F1A": "0804", "95": "0000008000", "5F2A": "0978", "9A": "260101",
    "9C": "00", "9F37": "1A2B3C4D", "9F35": "22", "9F45": "0000", "9F34": "1F0302", "9F21": "120000", "9F7C": "00" * 20,
    "9F4C": "00" * 8, "9F33": "E0F8C8", "9F40": "6000F0A001", "9F66": "36004000",
}


def fail(words):
    print(f"pay_pyscard: {words}", file=sys.stderr)
    sys.exit(1)


def tag_at(data, at):
    """The tag that begins there, and where it ends."""
    end = at + 1
    if data[at] & 0x1F == 0x1F:
        while data[end] & 0x80:
            end += 1
        end += 1
    return data[at:end].hex().upper(), end


def tlv(data):
    """Pairs of tag and value, in order."""
    at = 0
    while at < len(data):
        if data[at] in (0x00, 0xFF):
            at += 1
            continue
        tag, at = tag_at(data, at)
        length = data[at]
        at += 1
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at:at + count], "big")
            at += count
        if at + length > len(data):
            fail(f"{tag} is longer than what holds it")
        yield tag, data[at:at + length]
        at += length


def find(data, *path):
    """All values at the end of a path of tags."""
    found = [data]
    for wanted in path:
        found = [value for outer in found for tag, value in tlv(outer) if tag == wanted]
    return found


def filled(dol):
    """The terminal's data for a list of tags and lengths."""
    at, out = 0, b""
    while at < len(dol):
        tag, at = tag_at(dol, at)
        value = bytes.fromhex(TERMINAL.get(tag, ""))
        # Numeric data is cut and padded on its left; nothing here needs the other way round.
        out += value.rjust(dol[at], b"\0")[-dol[at]:] if dol[at] else b""
        at += 1
    return out


def contactless_directory(card, send):
    atr = bytes(card.getATR())
    if not (atr[0] == 0x3B and atr[1] & 0xF0 == 0x80 and atr[2:4] == b"\x80\x01"):
        fail(f"{atr.hex()} is no answer to reset of a contactless card")
    check_byte(atr)
    if len(send("FF CA 00 00 00")) not in (4, 7, 10):
        fail("the UID has no length that ISO 14443-3 knows")
    return find(send("00A404000E325041592E5359532E444446303100"), "6F", "A5", "BF0C", "61")


def contact_directory(card, send):
    atr = bytes(card.getATR())
    if not (atr[0] == 0x3B and atr[1] & 0x60 == 0x60 and atr[2] == 0):
        fail(f"{atr.hex()} is no answer to reset of a payment card (EMV 4.4 B1 8.3: TB1 00, TC1)")
    check_byte(atr)
    send("FF CA 00 00 00", good=(0x6A81,))
    sfi = find(send("00A404000E315041592E5359532E444446303100"), "6F", "A5", "88")[0][0]
    entries, number = [], 1
    while record := send(f"00B2{number:02X}{sfi << 3 | 4:02X}00", good=(0x9000, 0x6A83)):
        entries += find(record, "70", "61")
        number += 1
    return entries


def check_byte(atr):
    check = 0
    for byte in atr[1:]:
        check ^= byte
    if check:
        fail(f"the check byte of {atr.hex()} is wrong")


def issuer_answer(product_file, card_data, result, response_code):
    """Issuer authentication data (91), made with pyemv."""
    from pyemv.cvn import MasterCardCVN20
    from ruamel.yaml import YAML

    with open(product_file, encoding="utf-8") as file:
        keys = {name: bytes.fromhex(key) for name, key in YAML(typ="safe").load(file)["keys"].items()}
    number = card_data["5A"].hex().upper().rstrip("F")
    bank = MasterCardCVN20(keys["ac"], keys["smi"], keys["smc"], number, card_data["5F34"].hex())
    return bank.generate_arpc(result["9F26"], result["9F36"], response_code) + response_code


def recovered(key, certificate):
    modulus, exponent = key
    if len(certificate) != len(modulus):
        fail(f"a certificate of {len(certificate)} bytes under a key of {len(modulus)}")
    number = pow(int.from_bytes(certificate, "big"), exponent, int.from_bytes(modulus, "big"))
    plain = number.to_bytes(len(modulus), "big")
    if plain[0] != 0x6A or plain[-1] != 0xBC:
        fail("a certificate or signature does not open under its key")
    return plain


def certified_key(plain, at, remainder, exponent, tail=b""):
    """The key in an opened certificate whose key begins `at`; its hash checked (EMV 4.4 B2 tables 13 and 14)."""
    if hashlib.sha1(plain[1:-21] + remainder + exponent + tail).digest() != plain[-21:-1]:
        fail("the hash in a certificate is wrong")
    length = plain[at - 2]
    return (plain[at:-21] + remainder)[:length], int.from_bytes(exponent, "big")


def authenticate(keys_file, aid, card_data, send):
    """Dynamic data authentication (EMV 4.4 B2 6.5), with nothing but modular powers and SHA-1."""
    from ruamel.yaml import YAML

    with open(keys_file, encoding="utf-8") as file:
        authorities = YAML(typ="safe").load(file)
    rid, index = aid[:5], card_data["8F"]
    authority = next(key for key in authorities
                     if bytes.fromhex(key["rid"]) == rid and bytes.fromhex(key["index"]) == index)
    key = bytes.fromhex(authority["modulus"]), authority["exponent"]
    issuer = certified_key(recovered(key, card_data["90"]), 15, card_data["92"], card_data["9F32"])
    # What the first record of file 2 holds, and the interchange profile (9F4A says 82).
    static = b"".join(card_data["signed records"]) + card_data["82"]
    own = certified_key(recovered(issuer, card_data["9F46"]), 21, card_data["9F48"], card_data["9F47"], static)
    challenge = bytes.fromhex(TERMINAL["9F37"])
    answer = send(f"00880000{len(challenge):02X}{challenge.hex()}00")
    template, value = next(tlv(answer))
    signature = value if template == "80" else dict(tlv(value))["9F4B"]
    plain = recovered(own, signature)
    if plain[1:3] != b"\x05\x01" or hashlib.sha1(plain[1:-21] + challenge).digest() != plain[-21:-1]:
        fail("the card's signature is not over the challenge")


def second(product_file, card_data, result, send):
    """The payment after the bank's answer: a transaction certificate."""
    TERMINAL["91"] = issuer_answer(product_file, card_data, result, bytes.fromhex("0010")).hex()
    TERMINAL["8A"] = "3030"
    data = filled(card_data["8D"])
    answer = send(f"80AE4000{len(data):02X}{data.hex()}00")
    template, value = next(tlv(answer))
    certificate = {"9F27": value[:1], "9F36": value[1:3]} if template == "80" else dict(tlv(value))
    if certificate["9F27"][0] & 0xC0 != 0x40:
        fail(f"asked for a TC after the bank's answer, got cryptogram information {certificate['9F27'].hex()}")
    if certificate["9F36"] != result["9F36"]:
        fail("the counter moved within one payment")


def main():
    wanted, contact = sys.argv[1], sys.argv[2:3] == ["--contact"]
    matching = [reader for reader in readers() if str(reader) == wanted]
    if len(matching) != 1:
        fail(f"no reader {wanted!r} among {[str(reader) for reader in readers()]}")
    # Waits on the reader's state.
    service = CardRequest(timeout=20, readers=matching, cardType=AnyCardType()).waitforcard()
    card = service.connection
    card.connect()

    def send(command, good=(0x9000,)):
        data, sw1, sw2 = card.transmit(list(bytes.fromhex(command.replace(" ", ""))))
        sw = sw1 << 8 | sw2
        if sw not in good:
            fail(f"{command} was answered {sw:04X}")
        return bytes(data)

    directory = (contact_directory if contact else contactless_directory)(card, send)
    if not directory:
        fail("the directory lists nothing")
    entries = sorted(directory, key=lambda entry: find(entry, "87")[0][0] & 0x0F)
    aid = find(entries[0], "4F")[0]
    fci = send(f"00A40400{len(aid):02X}{aid.hex()}00")
    if find(fci, "6F", "84") != [aid]:
        fail("the FCI is not that of the application that was selected")

    pdol = (find(fci, "6F", "A5", "9F38") or [b""])[0]
    data = filled(pdol)
    command = b"\x83" + bytes([len(data)]) + data
    options = send(f"80A80000{len(command):02X}{command.hex()}00")
    template, value = next(tlv(options))
    if template == "80":
        aip, afl = value[:2], value[2:]
    else:
        objects = dict(tlv(value))
        aip, afl = objects["82"], objects["94"]

    card_data = {"82": aip}
    signed = []
    for at in range(0, len(afl), 4):
        sfi, first, last, for_authentication = afl[at] >> 3, afl[at + 1], afl[at + 2], afl[at + 3]
        for number in range(first, last + 1):
            record = send(f"00B2{number:02X}{sfi << 3 | 4:02X}00")
            content = find(record, "70")[0]
            if number < first + for_authentication:
                # Files 1 to 10 without the template's tag and length (EMV 4.4 B3 10.3).
                signed.append(content if sfi <= 10 else record)
            for tag, value in tlv(content):
                if tag in card_data:
                    fail(f"{tag} stands in two records")
                card_data[tag] = value
    for tag in ("5A", "5F24", "8C", "57") + (("8D", "9F49") if contact else ()):
        if tag not in card_data:
            fail(f"no record has {tag}")
    if card_data["57"].hex().upper().split("D")[0] != card_data["5A"].hex().upper().rstrip("F"):
        fail("track 2 and 5A have different numbers")

    if contact:
        authenticate(sys.argv[4], aid, {**card_data, "signed records": signed}, send)

    data = filled(card_data["8C"])
    answer = send(f"80AE8000{len(data):02X}{data.hex()}00")
    template, value = next(tlv(answer))
    if template == "80":
        result = {"9F27": value[:1], "9F36": value[1:3], "9F26": value[3:11], "9F10": value[11:]}
    else:
        result = dict(tlv(value))
    if result["9F27"][0] & 0xC0 != 0x80:
        fail(f"asked for an ARQC, got cryptogram information {result['9F27'].hex()}")
    if contact:
        second(sys.argv[3], card_data, result, send)
    send(f"80AE8000{len(data):02X}{data.hex()}00", good=(0x6985,))

    # A reset forgets the selection.
    card.reconnect(disposition=1)
    send("00B2010C00", good=(0x6985,))
    # Without power: the next program may want the other protocol.
    card.disconnect()
    everything = {**card_data, **result}
    print(json.dumps({"terminal": TERMINAL, "card": {tag: value.hex().upper() for tag, value in everything.items()}}))
    print(f"pay_pyscard: {len(card_data)} objects read, ARQC, counter {result['9F36'].hex()}", file=sys.stderr)


if __name__ == "__main__":
    main()
