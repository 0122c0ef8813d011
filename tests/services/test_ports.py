"""Two systems that start at once never choose one port."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from services.embedded_process import LOOPBACK, free_port
from services.ports import own_port, taken_for_us

ASK = "import sys; from services.ports import {ask}; print({ask}({port}), flush=True); sys.stdin.read()"


class Other:
    """Another process, which keeps what it was told until it is let go."""

    def __init__(self, ask: str, port: int) -> None:
        argv = [sys.executable, "-c", ASK.format(ask=ask, port=port)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.said = self.process.stdout.readline().strip()

    def ends(self) -> None:
        self.process.communicate("")


def test_of_several_that_want_one_port_at_once_one_has_it_until_it_ends() -> None:
    port = free_port()
    with ThreadPoolExecutor() as pool:
        others = list(pool.map(lambda _: Other("taken_for_us", port), range(4)))
    assert sorted(each.said for each in others) == ["False"] * 3 + ["True"]
    assert not taken_for_us(port)
    for each in others:
        each.ends()
    assert taken_for_us(port)


def test_who_finds_the_wanted_one_with_another_system_gets_a_different_one() -> None:
    port = free_port()
    other = Other("own_port", port)
    assert other.said == str(port)
    assert own_port(port) != port
    other.ends()
    assert own_port(port) == port


def test_a_port_that_somebody_listens_on_is_nobody_s() -> None:
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert not taken_for_us(port)
        assert own_port(port) != port


def test_what_is_ours_already_is_ours_again_and_no_two_parts_share_one() -> None:
    ports = [own_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    assert own_port(ports[0]) == ports[0]
