#!/usr/bin/env python3
"""Ends one connection of a process to the system bus, as a bus does that throws a client out.

    cut.py PID N        the N-th last one that it has opened
"""

import ctypes
import os
import socket
import sys

PIDFD_GETFD = 438
BUS = "system_bus_socket"


def bus_connections(pid):
    """Its connections to the system bus, in the order of their descriptors."""
    process = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    for number in sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd")):
        if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
            continue
        copy = libc.syscall(PIDFD_GETFD, process, number, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        end = socket.socket(fileno=copy)
        try:
            peer = end.getpeername() if end.family == socket.AF_UNIX else b""
        except OSError:
            continue
        if BUS in os.fsdecode(peer):
            yield number, end


def main():
    pid, last = map(int, sys.argv[1:])
    found = list(bus_connections(pid))
    if len(found) < last:
        sys.exit(f"there are {len(found)} connections to the system bus")
    number, end = found[-last]
    end.shutdown(socket.SHUT_RDWR)
    print(f"cut {number} of {[number for number, _ in found]}")


main()
