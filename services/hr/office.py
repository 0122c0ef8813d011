"""HR's systems from the operator's side: who may write, what had to wait, whose word counts; whole files."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from domain.directory import OfPerson
from domain.facts import Command, Fact, Malformed
from domain.hr_feed import remedies
from domain.hr_feed_messages import (
    STAFF_FILE,
    SYSTEM_NAME,
    AssignPeople,
    RegisterHrSystem,
    RevokeHrToken,
    TakeSnapshot,
    stream_of,
)
from domain.hr_register import HrRegister, StoredResource
from domain.hr_users import may_be_a_person_id
from domain.library import Library
from services.activities import as_answer
from services.founding import operator_name
from services.hr.csv_feed import Feed, read_feed
from services.hr.tokens import hash_of_token
from services.ledger import Ledger, Sender, operator

TOKEN_BYTES = 32


def register(ledger: Ledger, system: str) -> dict[str, Any]:
    """Let a system write by SCIM. Its token is in the answer and nowhere else: only its hash is kept."""
    a_name(system)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    answer = submitted(ledger, RegisterHrSystem(system=system, token_sha256=hash_of_token(token)), system)
    return answer if "refused" in answer else {"system": system, "token": token, **answer}


def revoke(ledger: Ledger, system: str) -> dict[str, Any]:
    """Its token opens nothing any more. Its people stay its own until another is assigned them."""
    a_name(system)
    return {"system": system, **submitted(ledger, RevokeHrToken(system=system), system)}


def assign(ledger: Ledger, system: str, people: tuple[str, ...], everyone_of: str | None) -> dict[str, Any]:
    a_name(system)
    library = ledger.library()
    if everyone_of:
        people = tuple(each.id for each in library.people() if library.source_of(each.id) == everyone_of)
    if not people or not all(map(may_be_a_person_id, people)):
        raise Malformed("PERSON", "nobody is named so", "person ids, or --all-of a feed that has people")
    return {"system": system, **submitted(ledger, AssignPeople(system=system, people=people), system)}


def a_name(system: str) -> None:
    if not re.fullmatch(SYSTEM_NAME, system):
        raise Malformed("NAME", "no name for an HR system", "small letters, digits and dashes, such as okta")


def submitted(ledger: Ledger, command: Command, system: str) -> dict[str, Any]:
    return as_answer(ledger.submit_own(command, stream_of(system), operator(operator_name()), str(uuid4())))


def systems(ledger: Ledger) -> list[dict[str, Any]]:
    library = ledger.library()
    known = library.hr()
    names = sorted({STAFF_FILE, *known.systems})
    return [of_system(name, known, library) for name in names]


def of_system(name: str, known: HrRegister, library: Library) -> dict[str, Any]:
    told = known.systems.get(name)
    last = told.snapshot if told else None
    resources = [each for each in list(known.resources.values()) if each.system == name]
    return {
        "system": name,
        "token": bool(told and told.token_sha256),
        "people": sum(1 for each in library.people() if library.source_of(each.id) == name),
        "users": count(resources, "User"),
        "groups": count(resources, "Group"),
        "waiting": len(known.waiting(name)),
        "last_file": last.feed_sha256 if last else None,
    }


def count(resources: list[StoredResource], type_: str) -> int:
    return sum(each.type == type_ for each in resources)


def waiting(ledger: Ledger) -> dict[str, Any]:
    """What could not be applied, and what was applied as sent and gives no authority."""
    library = ledger.library()
    held = [each.model_dump(mode="json") for _, each in sorted(library.hr().quarantine.items())]
    return {"quarantine": held, "remedies": [each._asdict() for each in remedies(library)]}


# a whole file


class Terms(NamedTuple):
    system: str = STAFF_FILE
    dry_run: bool = False
    skip_broken: bool = False
    accept_leavers: bool = False
    as_of: datetime | None = None


def take_file(
    ledger: Ledger, raw: bytes, terms: Terms, sender: Sender | None = None, id_: str | None = None
) -> dict[str, Any]:
    """Compare a whole file with the directory and apply the difference. With broken rows nothing is applied, unless
    they may wait in the quarantine. Nobody else being there, the installation's operator sends it."""
    a_name(terms.system)
    library, who = ledger.library(), sender or operator(operator_name())
    feed = read_feed(raw, library.policy)
    command = as_snapshot(feed, terms)
    if terms.dry_run or (feed.problems and not terms.skip_broken):
        unstopped = command.model_copy(update={"accept_leavers": True})
        facts = ledger.rehearse(unstopped, stream_of(terms.system), who)
        return as_told(feed, facts, terms.system, library) | {"dry_run": terms.dry_run, "applied": False}
    answer = ledger.submit_own(command, stream_of(terms.system), who, id_ or str(uuid4()))
    facts = tuple(each.fact for each in answer.facts)
    told = as_told(feed, facts, terms.system, library) | {"dry_run": False, "applied": answer.refusal is None}
    return told | as_answer(answer)


def as_snapshot(feed: Feed, terms: Terms) -> TakeSnapshot:
    return TakeSnapshot(
        system=terms.system,
        feed_sha256=feed.sha256,
        people=feed.people,
        held=feed.held,
        accept_leavers=terms.accept_leavers,
        as_of=terms.as_of,
    )


def as_told(feed: Feed, facts: tuple[Fact, ...], system: str, library: Library) -> dict[str, Any]:
    """The difference a file makes, by person. `absent`: of its own people, missing from it, and kept because of a row
    without an id."""
    changes = [each for each in facts if isinstance(each, OfPerson)]
    named = {each.id for each in feed.people} | {row.person for row in feed.held} | {each.person.id for each in changes}
    whose = any(not row.person for row in feed.held)
    return {
        "difference": [difference(each) for each in changes],
        "unchanged": len(feed.people) - sum(each.person.id in {p.id for p in feed.people} for each in changes),
        "absent": [each for each in at_work_by(system, library) if each not in named] if whose else [],
        "problems": [str(each) for each in feed.problems],
        "unknown": [str(each) for each in feed.unknown],
        "encoding": feed.encoding,
    }


def at_work_by(system: str, library: Library) -> list[str]:
    return [each.id for each in library.people() if each.active and library.source_of(each.id) == system]


def difference(change: OfPerson) -> dict[str, str]:
    what = type(change).__name__.removeprefix("Person").lower()
    return {"what": what, "person": change.person.id, "more": ", ".join(getattr(change, "changed", ()))}
