"""Facts by which someone is told something, without being asked for anything: each comes to a letter."""

from __future__ import annotations

from domain.facts import Fact, Line, PersonId


class Telling(Fact):
    """`told`: by their address in the directory; `also_to`: offices, by the address they had when it was recorded."""

    told: tuple[PersonId, ...]
    also_to: tuple[Line, ...] = ()

    def subject(self) -> str:
        raise NotImplementedError

    def lines(self) -> tuple[str, ...]:
        """What the letter says; nothing that is sealed."""
        raise NotImplementedError
