"""Would the policy decide the same again? Every decision on record is judged anew by `decide`, in one pass in log
order: from the command as stored, under the policy version of its case, with the case as it stood and the library as of
the log position that its envelope names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import ValidationError

from domain.attempts import SUFFIX, AttemptRefused, AttemptsSuppressed
from domain.facts import (
    KINDS,
    Act,
    ActorKind,
    Authority,
    Command,
    Fact,
    Malformed,
    Recorded,
    State,
    stem_of,
)
from domain.library import Library
from domain.pages import PAGES
from domain.register import Register
from services.audit.knowledge import Libraries, Streams
from services.audit.known_differences import KnownDifference
from services.audit.reading import every_event, shared_up_to, stream_up_to
from services.ledger import Refusal, decided, refusal_of

SHOWN_MOST = 1_000


class Decision(NamedTuple):
    """The events of one append: what was decided at once."""

    events: tuple[Recorded, ...]

    @property
    def first(self) -> Recorded:
        return self.events[0]

    @property
    def case(self) -> str:
        return self.first.envelope.case.removesuffix(SUFFIX)

    @property
    def refused(self) -> bool:
        return isinstance(self.first.fact, AttemptRefused)

    @property
    def nobody_decided(self) -> bool:
        """What the system notes by itself: an attempt without proof, or how many were not written down."""
        unproven = self.first.envelope.actor.kind is ActorKind.UNPROVEN
        return isinstance(self.first.fact, AttemptsSuppressed) or (self.refused and unproven)


class Judgement(NamedTuple):
    facts: tuple[Fact, ...]
    refusal: Refusal | None
    authority: Authority
    policy: str


def rejudged(conn: Connection[DictRow], up_to: int, known: Iterable[KnownDifference]) -> dict[str, Any]:
    """How many decisions come out as recorded, and each that does not."""
    libraries = Libraries(lambda position: shared_up_to(conn, position))
    streams = Streams(lambda stream, position: stream_up_to(conn, stream, position))
    told: dict[str, Any] = {"judged": 0, "agree": 0, "noted": 0, "disagree": [], "known": [], "not_rejudgeable": []}
    for decision in decisions(every_event(conn, up_to)):
        sort(told, decision, libraries, streams, tuple(known))
        for each in decision.events:
            streams.learn(each)
            libraries.learn(each)
    return told


def decisions(events: Iterable[Recorded]) -> Iterator[Decision]:
    """The command as received stands with the first event of its decision alone."""
    together: list[Recorded] = []
    for each in events:
        if together and not follows(together[-1], each):
            yield Decision(tuple(together))
            together = []
        together.append(each)
    if together:
        yield Decision(tuple(together))


def follows(before: Recorded, each: Recorded) -> bool:
    earlier, envelope = before.envelope, each.envelope
    same = (envelope.case, envelope.command_id, envelope.actor, envelope.at)
    return envelope.command is None and same == (earlier.case, earlier.command_id, earlier.actor, earlier.at)


def sort(
    told: dict[str, Any],
    decision: Decision,
    libraries: Libraries,
    streams: Streams,
    known: tuple[KnownDifference, ...],
) -> None:
    if decision.nobody_decided:
        told["noted"] += 1
        return
    if decision.first.envelope.command is None:
        told["not_rejudgeable"].append(named(decision) | {"because": "its command is erased: it is not in the log"})
        return
    told["judged"] += 1
    state = streams.now(decision.case)
    differences = [*differing(decision, state, libraries.as_of(decision.first.envelope.read_up_to))]
    if not differences:
        told["agree"] += 1
    elif explained := next((each for each in known if each.explains(decision.first.envelope)), None):
        told["known"].append(named(decision) | {"differences": differences, "explained_by": explained.decision})
    elif len(told["disagree"]) < SHOWN_MOST:
        told["disagree"].append(named(decision) | {"differences": differences})


def named(decision: Decision) -> dict[str, Any]:
    envelope = decision.first.envelope
    asked = (envelope.command or {}).get("kind", "")
    return {
        "log_position": decision.first.log_position,
        "case": envelope.case,
        "command": asked,
        "kinds": [each.envelope.kind for each in decision.events],
    }


def differing(decision: Decision, state: State, register: Register) -> Iterator[str]:
    """In what a judgement of today is not what stands in the log."""
    try:
        judgement = judged(decision, state, register)
    except (Malformed, ValidationError) as error:
        yield f"its command is none that can be read today ({type(error).__name__})"
        return
    envelope = decision.first.envelope
    if decision.refused:
        yield from differing_refusals(decision.first.fact, judgement)
    elif judgement.refusal:
        yield f"it would be refused today ({', '.join(judgement.refusal.clauses)}): {judgement.refusal.because}"
    else:
        yield from differing_facts(decision.events, judgement.facts)
    stored = Authority(envelope.role, envelope.place, envelope.on_behalf_of)
    if judgement.authority != stored:
        yield f"the authority was {shown(stored)} and would be {shown(judgement.authority)}"
    if judgement.policy != envelope.policy:
        yield f"the policy version was {envelope.policy or 'none'} and would be {judgement.policy or 'none'}"


def differing_refusals(stored: Fact, judgement: Judgement) -> Iterator[str]:
    assert isinstance(stored, AttemptRefused)  # noqa: S101  # for the type alone: the decision is of a refused attempt
    if judgement.refusal is None:
        kinds = ", ".join(each.kind for each in judgement.facts) or "nothing"
        yield f"it was refused ({', '.join(stored.refused_by)}) and today {kinds} would follow"
        return
    for name, was, would_be in (
        ("clauses", stored.refused_by, judgement.refusal.clauses),
        ("reason", stored.because, judgement.refusal.because),
        ("remedy", stored.remedy, judgement.refusal.remedy),
    ):
        if was != would_be:
            yield f"the refusal's {name} differ"


def differing_facts(events: tuple[Recorded, ...], facts: tuple[Fact, ...]) -> Iterator[str]:
    was, would_be = [each.fact.kind for each in events], [each.kind for each in facts]
    if was != would_be:
        yield f"what followed was {', '.join(was)} and would be {', '.join(would_be) or 'nothing'}"
        return
    for each, fact in zip(events, facts, strict=True):
        stored, judged_now = each.fact.model_dump(mode="json"), fact.model_dump(mode="json")
        names = [name for name in judged_now if stored.get(name) != judged_now[name]]
        if names:
            yield f"{fact.kind} differs in {', '.join(names)}"


def judged(decision: Decision, state: State, register: Register) -> Judgement:
    """As the ledger judges: the same rules, with nothing written."""
    envelope = decision.first.envelope
    act = Act(
        command=command_of(envelope.command or {}),
        id=envelope.command_id,
        case=decision.case,
        by=envelope.actor,
        at=envelope.at,
        channel=envelope.channel,
        proven_by=envelope.proven_by,
        occurred_at=envelope.occurred_at,
        cause=envelope.cause,
        correlation=envelope.correlation,
    )
    library = Library(register, act.at, state.policy)
    facts, authority, refused = decided(PAGES[stem_of(decision.case)], act, state, library)
    return Judgement(facts, refusal_of(refused), authority, library.policy_version())


def command_of(received: dict[str, Any]) -> Command:
    found = KINDS.get(received.get("kind", ""))
    if found is None or not issubclass(found, Command):
        raise Malformed("kind", "no command has this name any more")
    return found.model_validate(received.get("fields", {}))


def shown(authority: Authority) -> str:
    whom = f" for {authority.on_behalf_of}" if authority.on_behalf_of else ""
    return f"{authority.role or 'no role'} at {authority.place or 'no place'}{whom}"
