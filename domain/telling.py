"""Facts by which someone is told something, without being asked for anything: each comes to a letter."""

from __future__ import annotations

from abc import abstractmethod

from domain.facts import Fact, Line, PatronId, PersonId, Sealed


class Telling(Fact):
    """`told`: by their address in the directory; `also_to`: offices, by the address they had when it was recorded."""

    told: tuple[PersonId, ...]
    also_to: tuple[Line, ...] = ()

    @abstractmethod
    def subject(self) -> str:
        """One line, in which nothing is sealed."""

    @abstractmethod
    def lines(self) -> tuple[str, ...]:
        """What the letter says; nothing that is sealed."""


class LetterToPatron(Fact):
    """A letter to someone who is not of the staff. The address stays sealed until it is handed over: `sealed_in` is the
    command with which it came, as its field `email`. Without one the staff write by post."""

    patron: PatronId
    email: Sealed | None
    sealed_in: str

    def sealed_at(self, field: str, command: str) -> tuple[str, str]:
        return super().sealed_at(field, self.sealed_in if field == "email" else command)

    @abstractmethod
    def subject(self) -> str:
        """One line, in which nothing is sealed."""

    @abstractmethod
    def lines(self) -> tuple[str, ...]:
        """What the letter says; nothing that is sealed, and nobody's name."""
