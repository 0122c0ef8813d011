"""The only machinery of the domain: commands, facts, refusals, deciders, and what is recorded around a fact.

A command asks; a fact happened; a refusal says which clause stands against it and what would pass.
Nothing here reads a clock, rolls dice or does I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

if TYPE_CHECKING:
    from domain.library import Library

PersonId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# Given by the door, at random: it says nothing of who it is.
PatronId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]

KINDS: dict[str, type[Message]] = {}


class Value(BaseModel):
    """Part of a message: immutable, and nothing in it goes unread."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Value):
    """What crosses a boundary, under a stored name of its own that outlives the Python class."""

    kind: ClassVar[str] = ""

    def __init_subclass__(cls, kind: str = "", **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if kind:
            if kind in KINDS:
                raise TypeError(f"two messages are named {kind}")
            cls.kind = kind
            KINDS[kind] = cls


class Sealed(Value):
    """A free text that only its keys can open. Clear text cannot be put where this type stands.

    `under` names the wrapping keys, the case's and those of the patrons concerned; all of them are needed to open it.
    """

    under: tuple[str, ...] = Field(min_length=1, max_length=20)
    wrapped: str = Field(max_length=4_000)
    nonce: str = Field(max_length=40)
    ciphertext: str = Field(max_length=100_000)


def stem_of(stream: str) -> str:
    """The process whose case or stream this is."""
    return stream.partition("-")[0]


def case_key(case: str) -> str:
    return f"case:{case}"


def patron_key(patron: str) -> str:
    return f"patron:{patron}"


def patrons_in(value: object) -> set[str]:
    """Everyone under whose key something in this value is sealed."""
    if isinstance(value, dict):
        if isinstance(value.get("under"), list | tuple) and "wrapped" in value:
            return {each.removeprefix("patron:") for each in value["under"] if str(each).startswith("patron:")}
        return {patron for each in value.values() for patron in patrons_in(each)}
    if isinstance(value, list | tuple):
        return {patron for each in value for patron in patrons_in(each)}
    return set()


class Evidence(Value):
    """A file kept beside the log: named by the hash of its ciphertext, opened with a key of its own."""

    sha256: Sha256
    size: int = Field(ge=0)
    media_type: Line
    under: tuple[str, ...] = Field(min_length=1, max_length=20)
    wrapped: str = Field(max_length=4_000)
    nonce: str = Field(max_length=40)


class Channel(StrEnum):
    WEB = auto()
    API = auto()
    EMAIL_LINK = auto()
    CLI = auto()
    SIGNAL = auto()
    HR_FEED = auto()
    TIMER = auto()
    SYSTEM = auto()


class ActorKind(StrEnum):
    PERSON = auto()
    HR_SYSTEM = auto()
    TIMER = auto()
    OPERATOR = auto()  # whoever runs the installation: founds it, adopts the first policy
    PATRON = auto()
    UNPROVEN = auto()  # said to be someone, without proof


class Actor(Value):
    kind: ActorKind
    id: str = Field(min_length=1, max_length=120)


class Command(Message):
    """What someone asks for. Its fields are the sender's; who, when and how stand in the `Act` around it."""

    secret_texts: ClassVar[tuple[str, ...]] = ()
    # the fields that name patrons: its texts are sealed under the keys of these too
    concerns: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def patrons_concerned(cls, fields: dict[str, Any]) -> tuple[str, ...]:
        named = [fields.get(name) or () for name in cls.concerns]
        return tuple(dict.fromkeys(id_ for each in named for id_ in ((each,) if isinstance(each, str) else each)))

    def becomes(self, fact: type[F], **more: Any) -> F:
        """The fact that says the same as this command, and what the decision adds."""
        shared = {name: getattr(self, name) for name in fact.model_fields if name in type(self).model_fields}
        return fact(**(shared | more))


class Fact(Message):
    """What happened. It says which clauses it rests on, what it claims for its case alone, and which of the
    library's scopes it changes."""

    clauses: ClassVar[tuple[str, ...]] = ()
    # fields that the command, in which their texts were sealed, calls otherwise
    sealed_as: ClassVar[dict[str, str]] = {}

    def sealed_at(self, field: str, command: str) -> tuple[str, str]:
        """The command, and its field, as which the texts of this field were sealed: they open as nothing else.
        `command` is the one that this fact follows from."""
        return command, self.sealed_as.get(field, field)

    def cites(self) -> tuple[str, ...]:
        return type(self).clauses

    def claims(self) -> tuple[str, ...]:
        """Keys that no other case may hold from now on, until they are released."""
        return ()

    def releases(self) -> tuple[str, ...]:
        return ()

    def touches(self) -> tuple[str, ...]:
        """Scopes of the library that decisions elsewhere may have read."""
        return ()


F = TypeVar("F", bound=Fact)


class Refused(Exception):  # an answer, not an error
    """The policy stands against it: which clauses, why, and what would pass."""

    def __init__(self, clauses: str | Iterable[str], because: str, remedy: str) -> None:
        self.clauses = (clauses,) if isinstance(clauses, str) else tuple(dict.fromkeys(clauses))
        self.because, self.remedy = because, remedy
        super().__init__(f"{', '.join(self.clauses)}: {because}. What would pass: {remedy}")

    @classmethod
    def all_of(cls, refusals: list[Refused]) -> Refused:
        if len(refusals) == 1:
            return refusals[0]
        clauses = [clause for refusal in refusals for clause in refusal.clauses]
        return cls(clauses, "; ".join(r.because for r in refusals), "; ".join(r.remedy for r in refusals))


class NoAuthority(Refused):
    """Whoever asks may not: the same from someone who may would be looked at."""


def every_one_of(*rules: Callable[[], object]) -> None:
    """Ask every rule, so that a refusal names all that stands against the request and not only the first."""
    refusals: list[Refused] = []
    for rule in rules:
        try:
            rule()
        except Refused as refused:
            refusals.append(refused)
    if refusals:
        raise Refused.all_of(refusals)


@dataclass(frozen=True, slots=True)
class Act:
    """A command as it arrived: who sends it, how that was proven, for which case, when.

    `at` is set by the door, the timer or the ledger; `occurred_at` is what the sender says and gives no advantage.
    """

    command: Command
    id: str
    case: str
    by: Actor
    at: datetime
    channel: Channel
    proven_by: str
    occurred_at: datetime | None = None
    cause: str = ""
    correlation: str = ""

    @property
    def person(self) -> str:
        return self.by.id if self.by.kind is ActorKind.PERSON else ""


class Authority(NamedTuple):
    """In which capacity someone acts: the role and place held at that moment, and for whom they stand in."""

    role: str = ""
    place: str = ""
    on_behalf_of: str = ""


class Decision(NamedTuple):
    facts: tuple[Fact, ...]
    authority: Authority | None = None


class Envelope(Value):
    """Everything that is stored with a fact. Log position and recorded-at are the database's own."""

    v: int = 1
    event_id: str
    case: str
    position: int
    at: AwareDatetime
    occurred_at: AwareDatetime
    actor: Actor
    on_behalf_of: str = ""
    role: str = ""
    place: str = ""
    proven_by: str
    channel: Channel
    command_id: str
    cause: str = ""
    correlation: str
    policy: str = ""
    read_up_to: int
    clauses: tuple[str, ...]
    claims: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    workflow: str = ""
    run: str = ""
    kind: str
    fact: dict[str, Any]
    command: dict[str, Any] | None = None

    def opened(self) -> Fact:
        return load_fact(self.kind, self.fact)


class Recorded(NamedTuple):
    """A fact as it stands in the log."""

    envelope: Envelope
    fact: Fact
    log_position: int
    recorded_at: datetime


class Page:
    """One process: how its state begins, how it decides, how it folds. Each process file makes one of these.

    Whether a case is over follows from its last fact alone, but for those that it `perhaps_ends_with`. A case goes by
    the policy that it began under; what is one stream for good, and no case, goes `by_todays_policy`."""

    def __init__(
        self,
        name: str,
        state: type[State],
        decide: Callable[[Act, Any, Library], Decision],
        evolve: Callable[[Any, Fact], Any],
        opens_with: tuple[type[Command], ...] = (),
        perhaps_ends_with: tuple[type[Fact], ...] = (),
        by_todays_policy: bool = False,
    ) -> None:
        self.name, self.state, self.decide, self.evolve = name, state, decide, evolve
        self.opens_with, self.perhaps_ends_with = opens_with, perhaps_ends_with
        self.by_todays_policy = by_todays_policy

    def initial(self, case: str) -> State:
        return self.state(case=case)

    def fold(self, state: State, recorded: Iterable[Recorded]) -> State:
        for each in recorded:
            state = self.fold_one(state, each.fact, each.envelope.position, each.envelope.policy)
        return state

    def fold_one(self, state: State, fact: Fact, position: int, policy: str) -> State:
        folded: State = self.evolve(state, fact)
        began_under = "" if self.by_todays_policy else folded.policy or policy
        return folded.model_copy(update={"position": position, "policy": began_under})


class State(BaseModel):
    """What a case's facts add up to. `position`: the last stream position folded; `policy`: the version it began
    under."""

    model_config = ConfigDict(frozen=True)

    case: str
    position: int = 0
    policy: str = ""

    def but(self, **changes: Any) -> Self:
        return self.model_copy(update=changes)

    def closed(self) -> bool:
        """What is no case is never open."""
        return True

    def is_open(self) -> bool:
        return self.position > 0 and not self.closed()


class Malformed(Exception):  # what arrived, not what went wrong here
    """What arrived is not a message of this system: which field, what is wrong with it, what would pass."""

    def __init__(self, field: str, message: str, would_pass: str = "") -> None:
        self.field, self.message, self.would_pass = field, message, would_pass
        super().__init__(f"{field}: {message}" + (f"; would pass: {would_pass}" if would_pass else ""))


def load_fact(kind: str, fields: dict[str, Any]) -> Fact:
    found = KINDS.get(kind)
    if found is None or not issubclass(found, Fact):
        raise Malformed("kind", f"{kind!r} is no fact this system knows")
    return found.model_validate(fields)


def content_hash(content: object) -> str:
    """SHA-256 of the content's canonical JSON: sorted keys, no spaces, UTF-8. What a decision is bound to."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
