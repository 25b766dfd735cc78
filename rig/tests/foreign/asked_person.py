#!/usr/bin/env python3
"""A person at a terminal, who does what is asked and presses return.

    asked_person.py COMMAND…       prints what the terminal shows, and ends as the command does; says at the end how often it was asked
"""

import os
import pty
import sys

QUESTION = b", then press return: "


def main(*command):
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    shown, asked = b"", 0
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if shown.count(QUESTION) > asked:
            asked += 1
            os.write(terminal, b"\n")
    sys.stdout.write(shown.decode(errors="replace").replace("\r\n", "\n"))
    print(f"asked {asked} times")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


main(*sys.argv[1:])
