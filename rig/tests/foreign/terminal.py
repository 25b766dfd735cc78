"""A person at a terminal: starts a program on one, types and reads.

    terminal.py COMMAND…

Types a sum and a question at the shell that comes up, then `exit`; says what was on the screen. Exit code: the program's.
"""

import os
import pty
import select
import sys
import time

DEADLINE_S = 60


def read_until(screen, wanted, seen):
    """What is on the screen once `wanted` has come after what was seen; the end of the program is an end of reading."""
    until = time.monotonic() + DEADLINE_S
    text = b""
    while wanted not in text:
        ready, _, _ = select.select([screen], [], [], max(0, until - time.monotonic()))
        if not ready:
            sys.exit(f"{wanted!r} does not come within {DEADLINE_S} s; on the screen: {seen + text!r}")
        try:
            piece = os.read(screen, 4096)
        except OSError:
            piece = b""
        if not piece:
            return text
        text += piece
    return text


child, screen = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = read_until(screen, b"# ", b"")
os.write(screen, b"echo the sum is $((40 + 2)); tty\n")
seen += read_until(screen, b"the sum is 42", seen)
seen += read_until(screen, b"# ", seen)
os.write(screen, b"exit\n")
seen += read_until(screen, b"never said", seen)
print(seen.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
