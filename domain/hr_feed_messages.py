"""What is said by and about HR's systems: users and groups as sent, whole files, what had to wait (PR-4)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from domain.clauses import PR_4
from domain.directory import AsSent, Person
from domain.facts import Command, Fact, Line, PersonId, Sealed, Sha256, Value

STEM = "hr_feed"
# the file that the operator imports by hand; everyone nobody else has claimed comes from there
STAFF_FILE = "staff-file"
LONGEST_ROW = 40

SYSTEM_NAME = r"^[a-z0-9]+([_-][a-z0-9]+){0,10}$"
System = Annotated[str, StringConstraints(max_length=40, pattern=SYSTEM_NAME)]
ScimId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Version = Annotated[int, Field(ge=0)]


def stream_of(system: str) -> str:
    return f"{STEM}-{system}"


def stream_of_resource(system: str, id_: str) -> str:
    return f"{STEM}-{system}.{id_}"


# names


class Said(Value):
    """A user as the directory reads it, in HR's own words; what else was sent stays in the sealed resource."""

    user_name: AsSent = ""
    employee_number: AsSent = ""
    external_id: AsSent = ""
    name: AsSent = ""
    work_email: AsSent = ""
    position: AsSent = ""
    branch: AsSent = ""
    manager: AsSent = ""
    active: bool = True
    start: date | None = None
    end: date | None = None
    hours: AsSent = ""
    effective_at: AwareDatetime | None = None
    unread: AsSent = ""  # dates that are none


class HeldRow(Value):
    """A row that could not be read: kept with its known columns, tried again with the next file."""

    item: Line
    person: AsSent = ""
    row: dict[str, str] = Field(max_length=LONGEST_ROW)
    problem: str = Field(max_length=2_000)
    would_pass: str = Field(max_length=2_000)


# messages


class RegisterHrSystem(Command, kind="hr_feed.RegisterHrSystem"):
    """A system that may write by SCIM. Only the hash of its bearer token is kept."""

    system: System
    token_sha256: Sha256


class RevokeHrToken(Command, kind="hr_feed.RevokeHrToken"):
    system: System


class AssignPeople(Command, kind="hr_feed.AssignPeople"):
    """From now on this system is these people's source of record."""

    system: System
    people: tuple[PersonId, ...] = Field(min_length=1, max_length=20_000)


class StoreUser(Command, kind="hr_feed.StoreUser"):
    """`expected` is the version that this replaces; 0 for a new one."""

    system: System
    id: ScimId
    said: Said
    resource: Sealed
    expected: Version


class DeleteUser(Command, kind="hr_feed.DeleteUser"):
    system: System
    id: ScimId
    expected: Version


class StoreGroup(Command, kind="hr_feed.StoreGroup"):
    system: System
    id: ScimId
    display_name: AsSent
    members: tuple[AsSent, ...] = Field(default=(), max_length=50_000)
    resource: dict[str, Any]
    expected: Version


class DeleteGroup(Command, kind="hr_feed.DeleteGroup"):
    system: System
    id: ScimId
    expected: Version


class TakeSnapshot(Command, kind="hr_feed.TakeSnapshot"):
    """Everyone a system knows, in one file. Who is its own and is not in it has left."""

    system: System = STAFF_FILE
    feed_sha256: Sha256
    people: tuple[Person, ...] = Field(max_length=20_000)
    held: tuple[HeldRow, ...] = Field(default=(), max_length=20_000)
    accept_leavers: bool = False
    as_of: AwareDatetime | None = None


class HrFact(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_4,)
    system: System

    def touches(self) -> tuple[str, ...]:
        return (f"hr:{self.system}",)


class HrSystemRegistered(HrFact, kind="hr_feed.HrSystemRegistered"):
    token_sha256: Sha256


class HrTokenRevoked(HrFact, kind="hr_feed.HrTokenRevoked"):
    pass


class SourceSet(HrFact, kind="hr_feed.SourceSet"):
    """Whose word counts for this person."""

    person: PersonId

    def touches(self) -> tuple[str, ...]:
        return (f"person:{self.person}", "staff")


class OfResource(HrFact):
    id: ScimId

    def touches(self) -> tuple[str, ...]:
        return (f"hr:{self.system}.{self.id}",)


class UserStored(OfResource, kind="hr_feed.UserStored"):
    person: PersonId
    said: Said
    resource: Sealed
    takes: tuple[str, ...] = ()
    gives_up: tuple[str, ...] = ()

    def claims(self) -> tuple[str, ...]:
        return self.takes

    def releases(self) -> tuple[str, ...]:
        return self.gives_up


class UserDeleted(OfResource, kind="hr_feed.UserDeleted"):
    person: PersonId
    gives_up: tuple[str, ...] = ()

    def releases(self) -> tuple[str, ...]:
        return self.gives_up


class GroupStored(OfResource, kind="hr_feed.GroupStored"):
    display_name: AsSent
    members: tuple[AsSent, ...]
    resource: dict[str, Any]

    def touches(self) -> tuple[str, ...]:
        return (*super().touches(), "groups")


class GroupDeleted(OfResource, kind="hr_feed.GroupDeleted"):
    def touches(self) -> tuple[str, ...]:
        return (*super().touches(), "groups")


class SetAside(OfResource, kind="hr_feed.SetAside"):
    """A message that came late: what is known holds from a later time than what it says."""

    said: Said


class Quarantined(HrFact, kind="hr_feed.Quarantined"):
    """Kept and shown until it is mended: a row of a file, or a user as sent (`user:` and its id)."""

    item: Line
    person: AsSent = ""
    row: dict[str, str] = Field(default_factory=dict)
    problem: str
    would_pass: str


class QuarantineCleared(HrFact, kind="hr_feed.QuarantineCleared"):
    item: Line


class SnapshotTaken(HrFact, kind="hr_feed.SnapshotTaken"):
    feed_sha256: Sha256
    as_of: AwareDatetime | None = None
    joined: int
    changed: int
    left: int
    unchanged: int
    held: int
