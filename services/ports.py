"""A port that was found free stays this process's until it ends, though what will listen there has not been started:
two systems that start at once never choose the same one."""

from __future__ import annotations

import random
import socket
import sys
from threading import Lock

from services.embedded_process import LOOPBACK, OUR_PORTS, EmbeddedError, is_free

TRIED = 100
_lock = Lock()
# A name in the kernel, for one process at a time: nothing on the disk, gone with whoever has it.
_ours: dict[int, socket.socket | None] = {}


def own_port(wanted: int | None = None) -> int:
    """The wanted one (where it was last time) if it is still to be had, else another."""
    if wanted is not None and (wanted in _ours or taken_for_us(wanted)) and is_free(wanted):
        return wanted
    for port in random.sample(OUR_PORTS, TRIED):
        if port not in _ours and taken_for_us(port):
            return port
    raise EmbeddedError("no free port was found on this machine")


def taken_for_us(port: int, host: str = LOOPBACK) -> bool:
    """Whether nobody listens there and no other system of ours is about to."""
    with _lock:
        if port not in _ours:
            if not is_free(port, host):
                return False
            name = named(port)
            if name is None and sys.platform == "linux":
                return False
            _ours[port] = name
    return is_free(port, host)


def named(port: int) -> socket.socket | None:
    if sys.platform != "linux":  # elsewhere there are no such names, and the gap stays
        return None
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f"\0imprimatur port {port}")
    except OSError:
        held.close()
        return None
    return held
