"""Facts by which someone is told something, without being asked for anything: each comes to a letter."""

from __future__ import annotations

from domain.facts import Fact, PersonId


class Telling(Fact):
    told: tuple[PersonId, ...]

    def subject(self) -> str:
        raise NotImplementedError

    def lines(self) -> tuple[str, ...]:
        """What the letter says; nothing that is sealed."""
        raise NotImplementedError
