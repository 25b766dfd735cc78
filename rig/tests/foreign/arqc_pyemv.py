"""Verifies the ARQC of a payment that `pay_pyscard.py` made, with pyemv's own cryptography and the issuer's keys.

    python arqc_pyemv.py payment.json ../../../fixtures/cards/mastercard-debit.yaml

Checks also that a spoilt amount is not verified, so that this cannot pass by chance.
"""

import json
import sys

from pyemv.cvn import MasterCardCVN16, MasterCardCVN20
from ruamel.yaml import YAML


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        payment = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        product = YAML(typ="safe").load(file)
    keys = {name: bytes.fromhex(key) for name, key in product["keys"].items() if name in ("ac", "smi", "smc")}
    terminal = {tag: bytes.fromhex(value) for tag, value in payment["terminal"].items()}
    card = {tag: bytes.fromhex(value) for tag, value in payment["card"].items()}
    iad = card["9F10"]
    version = {0x10: MasterCardCVN16, 0x14: MasterCardCVN20}.get(iad[1])
    if version is None:
        sys.exit(f"arqc_pyemv: no check for cryptogram version {iad[1]:02X}")
    number = card["5A"].hex().upper().rstrip("F")
    sequence = card.get("5F34", b"\0").hex()
    cryptogram = version(keys["ac"], keys["smi"], keys["smc"], number, sequence)

    def arqc(amount):
        return cryptogram.generate_ac(
            amount, terminal["9F03"], terminal["9F1A"], terminal["95"], terminal["5F2A"], terminal["9A"], terminal["9C"],
            terminal["9F37"], card["82"], card["9F36"], iad[2:8])

    if arqc(terminal["9F02"]) != card["9F26"]:
        sys.exit(f"arqc_pyemv: pyemv makes {arqc(terminal['9F02']).hex().upper()}, the card made {card['9F26'].hex().upper()}")
    if arqc(bytes.fromhex("000000000421")) == card["9F26"]:
        sys.exit("arqc_pyemv: another amount has the same cryptogram")
    print(f"arqc_pyemv: verified, {version.__name__}, key derived for a number that ends in {number[-4:]}")


main()
