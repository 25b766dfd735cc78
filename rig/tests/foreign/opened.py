"""No card number can be opened from what was shown, with the keys that the schemes publish.

    opened.py READ KEYS FILE…

READ is what pay_pyscard.py printed: a whole card, whose certificate must open to its number, as proof that this script can. KEYS are
the schemes' (authorities.yaml). In each FILE, text or a capture, everything that is as long as such a certificate is opened like one.
"""

import json
import re
import sys

from pay_pyscard import certified_key, recovered
from ruamel.yaml import YAML

SEPARATORS = re.compile(r"[\s:,._\"-]|0x")


def issuer_key(card, authorities):
    """The issuer's public key, opened from its certificate (EMV 4.4 B2 6.3)."""
    number = card["5A"].hex()
    scheme = {"5": "A000000004", "4": "A000000003"}[number[0]]
    authority = next(key for key in authorities
                     if bytes.fromhex(key["rid"]).hex().upper() == scheme and bytes.fromhex(key["index"]) == card["8F"])
    key = bytes.fromhex(authority["modulus"]), authority["exponent"]
    return certified_key(recovered(key, card["90"]), 15, card["92"], card["9F32"])


def numbers_in(digits, key):
    """The card numbers of all certificates among these hex digits."""
    modulus, exponent = key
    length, modulus = len(modulus), int.from_bytes(modulus, "big")
    for run in re.findall(r"[0-9A-Fa-f]{%d,}" % (2 * length), digits):
        for at in range(len(run) - 2 * length + 1):
            opened = pow(int(run[at:at + 2 * length], 16), exponent, modulus).to_bytes(length, "big")
            # EMV 4.4 B2 table 14.
            if opened[:2] == b"\x6A\x04" and opened[-1:] == b"\xBC":
                yield opened[2:12].hex().upper().rstrip("F")


def digits_of(path):
    """A text without what stands between its digits; a capture in hex."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        return SEPARATORS.sub("", content.decode())
    except UnicodeDecodeError:
        return content.hex()


def main():
    read, keys_file, *files = sys.argv[1:]
    with open(read, encoding="utf-8") as file:
        card = {tag: bytes.fromhex(value) for tag, value in json.load(file)["card"].items()}
    with open(keys_file, encoding="utf-8") as file:
        key = issuer_key(card, YAML(typ="safe").load(file))
    number = card["5A"].hex().upper().rstrip("F")
    if list(numbers_in(digits_of(read), key)) != [number]:
        sys.exit("opened: the certificate of the card that was read does not open to its number")
    for path in files:
        digits = digits_of(path)
        if number in digits or list(numbers_in(digits, key)):
            sys.exit(f"opened: {path} shows the card's number, or what opens to it")
        if "9F46" not in digits.upper():
            sys.exit(f"opened: {path} shows no trace of a certificate, so nothing was tried")
    print(f"opened: nothing in {len(files)} files")


if __name__ == "__main__":
    main()
