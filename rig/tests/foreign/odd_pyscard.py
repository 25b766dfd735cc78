"""Terminals that go about it in other ways than ours, by pyscard: each command of a table and the status word that EMV has for it.

    python odd_pyscard.py "Virtual PCD 00 00" contactless

The card must be two Mastercards and a Visa, in this order. Tells every row that is answered in another way.
"""

import sys

from both_sides import Reader

MASTERCARD, VISA, PPSE, PSE = "A0000000041010", "A0000000031010", "325041592E5359532E4444463031", "315041592E5359532E4444463031"
# Amount, other amount, country, TVR, currency, date, type, unpredictable number, terminal type, authentication code, CVM results, time.
CDOL1 = "000000000420 000000000000 0804 0000008000 0978 260101 00 1A2B3C4D 22 0000 1F0302 120000"
BOTH, FIELD, CONTACT = ("contactless", "contact"), ("contactless",), ("contact",)


def select(name, p2="00", le="00"):
    return f"00A404{p2}{len(name) // 2:02X}{name}{le}"


def generate(control, cdol=CDOL1, le="00"):
    data = cdol.replace(" ", "")
    return f"80AE{control}00{len(data) // 2:02X}{data}{le}"


def quick(qualifiers):
    """GET PROCESSING OPTIONS of a Visa card in the field, with these terminal transaction qualifiers."""
    data = f"{qualifiers} 000000000420 000000000000 0804 0000000000 0978 260101 00 1A2B3C4D 120000".replace(" ", "")
    return f"80A80000{len(data) // 2 + 2:02X}83{len(data) // 2:02X}{data}00"


BEGIN = "80A8000002830000"
SELECTION = [
    # EMV 4.4 B1 12.3.3: a list of names, each as long as one finds more.
    (BOTH, select("A000000004"), 0x9000, "by its provider alone"),
    (BOTH, select("A000000004", "02"), 0x9000, "the next one"),
    (BOTH, select("A000000004", "02"), 0x6A82, "there are two"),
    (BOTH, select(MASTERCARD + "000200"), 0x6A82, "longer than the card's name"),
    (BOTH, select("A0000000999999"), 0x6A82, "nobody's"),
    (BOTH, select(MASTERCARD, "0C"), 0x6A86, "without FCI"),
    (BOTH, "00A4000002 3F00", 0x6A86, "a master file"),
    (BOTH, select(MASTERCARD).replace("00A4", "80A4", 1), 0x6E00, "in another class"),
    (BOTH, f"00A40400 0000 07 {MASTERCARD} 0000", 0x9000, "in extended length"),
    (BOTH, select(MASTERCARD, le=""), 0x9000, "without Le"),
    (FIELD, select(PPSE), 0x9000, "the directory of the field"),
    (FIELD, select(PSE), 0x6A82, "the other one"),
    (CONTACT, select(PPSE), 0x6A82, "the directory of the field"),
    (CONTACT, select(PSE), 0x9000, "the other one"),
    (CONTACT, "00B2010C00", 0x9000, "its first record"),
    (CONTACT, "00B2090C00", 0x6A83, "one that it has not"),
    (CONTACT, "00B2011400", 0x6A82, "a file that it has not"),
]
TRANSACTION = [
    (BOTH, select(MASTERCARD), 0x9000, ""),
    (BOTH, generate("80"), 0x6985, "a cryptogram before the transaction"),
    (BOTH, "00B2010C00", 0x9000, "a record before the transaction"),
    (BOTH, "00B2110C00", 0x6A83, "a record that is not there"),
    (BOTH, "00B201FC00", 0x6A86, "file 31"),
    (BOTH, "00B2010C000000", 0x9000, "with an extended Le"),
    (BOTH, "80CA9F3600", 0x9000, "the counter"),
    (BOTH, "80CA9F3605", 0x9000, "the counter, Le exact"),
    (BOTH, "80CA9F1300", 0x9000, "the last online counter"),
    (BOTH, "80CA9F1700", 0x6A88, "the PIN's tries"),
    (BOTH, "80CA9F4F00", 0x9000, "the log's format"),
    (BOTH, "80CA9F7F00", 0x6A88, "what only the security domain tells"),
    (BOTH, "80CADF0100", 0x6A88, "what nobody tells"),
    (BOTH, "80A800000383010000", 0x6700, "values that were not asked for"),
    (BOTH, "80A8000000", 0x6A80, "no template"),
    (BOTH, "00A8000002830000", 0x6E00, "in another class"),
    (BOTH, "80A8010002830000", 0x6A86, "with other parameters"),
    (BOTH, BEGIN, 0x9000, "at last"),
    (BOTH, BEGIN, 0x6985, "twice"),
    (BOTH, generate("C0"), 0x6A86, "a reserved kind of cryptogram"),
    (BOTH, generate("80", CDOL1[2:]), 0x6700, "a value too short"),
    (BOTH, generate("80").replace("80AE", "00AE", 1), 0x6E00, "in another class"),
    (BOTH, "802A8E8004 1A2B3C4D 00", 0x6D00, "mag-stripe mode"),
    (BOTH, "80EA00000A 00000000000000000000 00", 0x6D00, "relay resistance"),
    (BOTH, "0084000000", 0x6D00, "GET CHALLENGE"),
    (BOTH, "0020008008 241234FFFFFFFFFF", 0x6D00, "VERIFY"),
    (BOTH, "90A8000002830000", 0x6884, "a chain"),
    (BOTH, "01B2010C00", 0x6881, "a logical channel"),
    (FIELD, "0088000004 01020304 00", 0x6D00, "INTERNAL AUTHENTICATE"),
    (BOTH, generate("80", le=""), 0x9000, "without Le"),
    (BOTH, generate("80"), 0x6985, "twice"),
    (CONTACT, "008200000A 00000000000000000000", 0x6985, "an issuer that this profile does not ask for"),
    (FIELD, "008200000A 00000000000000000000", 0x6D00, "EXTERNAL AUTHENTICATE"),
    (CONTACT, "841E000008 0000000000000000", 0x6988, "a script that is nobody's"),
    (FIELD, "841E000008 0000000000000000", 0x6D00, "a script"),
    (CONTACT, "80AE800017" + "00" * 23 + "00", 0x6985, "the issuer is asked once"),
    (CONTACT, "80AE400016" + "00" * 22 + "00", 0x6700, "a second cryptogram over too little"),
    (BOTH, select(MASTERCARD), 0x9000, ""),
    (BOTH, BEGIN, 0x9000, ""),
    (BOTH, generate("00"), 0x9000, "the terminal declines"),
    (BOTH, generate("00"), 0x6985, "twice"),
]
# C-3 and VCPS 2.2: the whole transaction in one command; a terminal without EMV mode has no business here.
QUICK = [row for qualifiers, status in [("36004000", 0x9000), ("80004000", 0x6985), ("00000000", 0x6985), ("28000000", 0x9000)]
         for row in [(FIELD, select(VISA), 0x9000, ""), (FIELD, quick(qualifiers), status, f"qualifiers {qualifiers}")]]
ISSUER = [
    (CONTACT, select(VISA), 0x9000, ""),
    (CONTACT, BEGIN, 0x9000, ""),
    (CONTACT, "0088000003 010203 00", 0x6700, "a value too short"),
    (CONTACT, "0088000004 01020304 00", 0x9000, "the card signs"),
    (CONTACT, "008200000A 00000000000000000000", 0x6985, "before it asked"),
    (CONTACT, generate("90"), 0x9000, "with CDA"),
    (CONTACT, "008200000A 00000000000000000000", 0x6300, "a false issuer"),
    (CONTACT, "008200000A 00000000000000000000", 0x6985, "a second try"),
]


def main():
    wanted, interface = sys.argv[1:]
    reader, wrong = Reader(wanted), []
    for where, command, status, why in SELECTION + TRANSACTION + QUICK + ISSUER:
        if interface in where:
            _, sw1, sw2 = reader.card.transmit(list(bytes.fromhex(command)))
            if sw1 << 8 | sw2 != status:
                wrong.append(f"{command} ({why}) was answered {sw1:02X}{sw2:02X} and not {status:04X}")
    # A reset in the middle leaves nothing of a transaction, whichever kind it is.
    for disposition in (1, 2):
        for command in (select(MASTERCARD), BEGIN):
            reader.send(bytes.fromhex(command))
        reader.card.reconnect(disposition=disposition)
        reader.send(bytes.fromhex(generate("80").replace(" ", "")), good=(0x6985,))
    reader.card.disconnect()
    print("\n".join(wrong) or "odd_pyscard: each as EMV has it")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
