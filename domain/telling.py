"""How someone is told something, without being asked for anything: by facts that come to a letter each; and a patron
whom no mail reaches by staff, who put on record how."""

from __future__ import annotations

from abc import abstractmethod
from enum import StrEnum, auto
from typing import ClassVar

from domain.facts import Command, Fact, Line, PatronId, PersonId, Refused, Sealed


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


class How(StrEnum):
    """How a patron was told, where no mail reaches them."""

    LETTER = auto()
    TELEPHONE = auto()
    DESK = auto()
    NOT_REACHED = auto()


AS_THEY_CAME = {
    How.LETTER: "by letter",
    How.TELEPHONE: "by telephone",
    How.DESK: "when they come or call",
}


class TellPatron(Command):
    """They know now; or they could not be reached, and why not."""

    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    how: How
    reason: Sealed | None = None


class PatronTold(Fact):
    how: How
    by: PersonId
    reason: Sealed | None = None


def why_they_were_not_reached_is_said(told: TellPatron, clauses: tuple[str, ...]) -> None:
    if (told.how is How.NOT_REACHED) is not (told.reason is not None):
        because = "they were told" if told.reason else "it is not said why they could not be reached"
        raise Refused(clauses, because, "a reason where nobody was reached, and there alone")
