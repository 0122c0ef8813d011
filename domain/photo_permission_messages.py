"""What is said about a picture of people (PR-13, PR-14): what people ask for, and what happened."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, Field

from domain.facts import Command, Evidence, PatronId, PersonId, Sealed, Slug, Value
from domain.patron_basis import (
    BasisGiven,
    BasisTaken,
    ConsentId,
    Identifiable,
    OfContent,
    PersonSeen,
    PictureGone,
    PictureHeld,
)

# the picture is sealed under the keys of all of them, and of its case
MOST_PERSONS = 18


class Person(Identifiable):
    """`who`: how staff recognise them in the picture."""

    who: Sealed


class Taken(Value):
    """What was read of the picture itself. `had_location`: it said where it was taken; that was left out."""

    format: Literal["JPEG", "PNG", "WEBP"]
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    had_location: bool


# what people ask for


class TakePictureIn(Command, kind="photo_permission.TakePictureIn"):
    secret_texts: ClassVar[tuple[str, ...]] = ("persons.*.who", "note")
    taken_at: AwareDatetime
    taken_by: PersonId
    place: Slug
    program: Slug | None = None
    persons: tuple[Person, ...] = Field(default=(), max_length=MOST_PERSONS)
    note: Sealed | None = None

    @classmethod
    def patrons_concerned(cls, fields: dict[str, Any]) -> tuple[str, ...]:
        return patrons_named(fields.get("persons"))


def patrons_named(persons: object) -> tuple[str, ...]:
    found = [each.get("patron") for each in persons if isinstance(each, dict)] if isinstance(persons, list) else []
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str)))


class AddPicture(Command, kind="photo_permission.AddPicture"):
    """The picture itself, as the intake left it: without what a camera writes beside it."""

    evidence: tuple[Evidence, ...] = Field(min_length=1, max_length=1)
    taken: Taken


class IdentifyPerson(Command, kind="photo_permission.IdentifyPerson"):
    """Someone else can be recognised."""

    secret_texts: ClassVar[tuple[str, ...]] = ("person.who",)
    person: Person

    @classmethod
    def patrons_concerned(cls, fields: dict[str, Any]) -> tuple[str, ...]:
        return patrons_named([fields.get("person")])


class GiveBasis(Command, kind="photo_permission.GiveBasis"):
    patron: PatronId
    consent: ConsentId


class TakeBasis(Command, kind="photo_permission.TakeBasis"):
    """The basis was given by mistake, or another one is to take its place."""

    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    patron: PatronId
    reason: Sealed


class SetPictureAside(Command, kind="photo_permission.SetPictureAside"):
    secret_texts: ClassVar[tuple[str, ...]] = ("reason",)
    reason: Sealed


# what happened


class PictureTakenIn(PictureHeld, kind="photo_permission.PictureTakenIn"):
    """Who is named here is named in the picture's own words in `named`."""

    sealed_as: ClassVar[dict[str, str]] = {"named": "persons"}
    taken_by: PersonId
    program: Slug | None
    named: tuple[Person, ...]
    by: PersonId
    note: Sealed | None = None


class PictureAdded(OfContent, kind="photo_permission.PictureAdded"):
    evidence: tuple[Evidence, ...]
    taken: Taken


class PersonIdentified(PersonSeen, kind="photo_permission.PersonIdentified"):
    sealed_as: ClassVar[dict[str, str]] = {"who": "person.who"}
    who: Sealed


class PermissionGiven(BasisGiven, kind="photo_permission.PermissionGiven"):
    pass


class PermissionTaken(BasisTaken, kind="photo_permission.PermissionTaken"):
    reason: Sealed


class Judged(OfContent):
    """`without`: those whom nothing stands behind."""

    without: tuple[PatronId, ...] = ()


class PictureCleared(Judged, kind="photo_permission.PictureCleared"):
    pass


class PicturePartlyUsable(Judged, kind="photo_permission.PicturePartlyUsable"):
    """Once those without a basis are made unrecognisable."""


class PictureBlocked(Judged, kind="photo_permission.PictureBlocked"):
    pass


class PictureSetAside(PictureGone, kind="photo_permission.PictureSetAside"):
    reason: Sealed


class PictureNeverCame(PictureGone, kind="photo_permission.PictureNeverCame"):
    pass
