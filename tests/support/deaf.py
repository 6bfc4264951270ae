"""Runs a program that hears nothing of the machine's networks: `python deaf.py PROGRAM ARGUMENTS…`.

Browsers break off what they load when an address of any network comes or goes (`ERR_NETWORK_CHANGED`), and tests beside
theirs start and stop containers, each with its own. The kernel tells of that by netlink sockets: whoever may
not have one goes on as if nothing ever changed.
"""

import ctypes
import os
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16
"""Where a filter finds a system call's number and its first argument (linux/seccomp.h)."""
_SOCKET = {"x86_64": 41, "aarch64": 198}
_AF_NETLINK = 16
_REFUSE, _ALLOW = 0x00050000 | 97, 0x7FFF0000
"""Fail with EAFNOSUPPORT, as on a machine without netlink; or go on."""


def deafen() -> None:
    """Let this process, and all that it starts, open no netlink socket. Raises `OSError`."""
    steps = [
        (_LOAD, 0, 0, _NUMBER),
        (_IF_EQUAL, 0, 3, _SOCKET[platform.machine()]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 0, 1, _AF_NETLINK),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for told in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER, ctypes.c_char_p(program), 0, 0)):
        if libc.prctl(*told):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    deafen()
    os.execvp(sys.argv[1], sys.argv[1:])
