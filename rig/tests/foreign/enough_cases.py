#!/usr/bin/env python3
"""What a run's JUnit file must hold when the run was over real Bluetooth and a real pcscd: enough cases, and those that matter most.

    python3 rig/tests/foreign/enough_cases.py JUNIT
"""

import sys
import xml.etree.ElementTree as tree

# Of those that can run there: more than four hundred do.
ENOUGH = 400
# A file, and how many of its cases pass there at least.
AMONG_THEM = {
    "activation/add-activate-tap": 1,
    "activation/a-code-that-comes-too-late-never-activates-the-card": 1,
    "reset/the-same-account-finds-its-cards-again": 1,
    "reset/another-account-deletes-the-cards": 1,
    "wallet/the-seventh-card-is-refused": 1,
    "payment/the-band-pays-without-the-phone": 1,
}


def main(junit):
    cases = tree.parse(junit).getroot().findall(".//testcase")
    passed = [case for case in cases if not {each.tag for each in case} & {"failure", "error", "skipped"}]
    files = [case.get("classname").replace(".", "/") for case in passed]
    wrong = [] if len(passed) >= ENOUGH else [f"{len(passed)} cases passed, {ENOUGH} are wanted"]
    for name, wanted in AMONG_THEM.items():
        if files.count(name) < wanted:
            wrong.append(f"{name}: {files.count(name)} cases passed, {wanted} wanted")
    unexplained = [case.get("name") for case in cases for each in case.findall("skipped") if not each.get("message")]
    wrong += [f"{name} is skipped and does not say why" for name in unexplained]
    for line in wrong:
        print(f"FAILED  {line}")
    if wrong:
        sys.exit(1)
    print(f"ok      {len(passed)} cases passed, among them one at least of each of {', '.join(AMONG_THEM)}")


main(*sys.argv[1:])
