"""May this be used, now or as of any moment: the register's own rule, asked of what was on record by then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from domain.facts import Malformed, Recorded, Value
from domain.in_force import account_id, account_scope, forgotten_scope
from domain.library import Library
from domain.may_use import may_use
from domain.patron_basis import (
    PRINT,
    BasisGiven,
    ConsentNoted,
    ContentId,
    PersonSeen,
    PictureHeld,
    Target,
    UseBegun,
    consent_scope,
    content_scope,
)
from domain.register import Register
from services.explaining import touching
from services.recorder import LedgerRecorder

CONTENT: TypeAdapter[str] = TypeAdapter(ContentId)
TARGET: TypeAdapter[str] = TypeAdapter(Target)


class Asked(Value):
    """A question that is one: content and target are named as the log names them."""

    content: str
    target: str = ""


def asked(content: str, target: str | None) -> Asked:
    try:
        CONTENT.validate_python(content)
    except ValidationError:
        raise Malformed("content", "no content is named so", "photo_permission-UUID, or content:NAME") from None
    where = target_named(target) if target else ""
    return Asked(content=content, target=where)


def target_named(text: str) -> str:
    where = text if text.startswith(PRINT) else account_id(text)
    try:
        return TARGET.validate_python(where)
    except ValidationError:
        raise Malformed("account", "no place of the library's own", "facebook:durantlibrary, or print:flyer") from None


def answered(
    recorder: LedgerRecorder, content: str, target: str | None, now: datetime, at: datetime | None
) -> dict[str, Any]:
    """The answer of now, or the one that was given at a past moment: with its reasons and the events it hangs on."""
    question = asked(content, target)
    if at is not None and at > now:
        raise Malformed("at", f"{at.isoformat()} is still to come", "a moment up to now")
    recorded = on_record(recorder, question, at)
    register = Register()
    for each in recorded:
        register.evolve(each.envelope, each.fact, each.log_position)
    told = may_use(question.content, question.target, Library(register, at or now)).model_dump(mode="json")
    return told | {"rests_on": [link_of(each) for each in recorded if hangs_on(each)]}


def on_record(recorder: LedgerRecorder, question: Asked, at: datetime | None) -> list[Recorded]:
    """First what is said of the content, then of every consent that was ever its basis."""
    scopes = {"policy", content_scope(question.content)}
    if question.target and not question.target.startswith(PRINT):
        scopes.add(account_scope(question.target))
    recorded = touching(recorder, scopes, at)
    while more := what_it_hangs_on(recorded) - scopes:
        scopes |= more
        recorded = touching(recorder, scopes, at)
    return recorded


def what_it_hangs_on(recorded: Iterable[Recorded]) -> set[str]:
    """Consents that were ever a basis, and whether those in it were forgotten."""
    found: set[str] = set()
    for each in recorded:
        match each.fact:
            case ConsentNoted(consent=consent, patron=patron):
                found |= {consent_scope(consent), *(forgotten_scope(each) for each in (patron,) if each)}
            case BasisGiven(consent=consent):
                found.add(consent_scope(consent))
            case PictureHeld(persons=persons):
                found |= {forgotten_scope(person.patron) for person in persons}
            case PersonSeen(person=person):
                found.add(forgotten_scope(person.patron))
            case UseBegun(bases=bases):
                found |= {consent_scope(basis.consent) for basis in bases}
            case _:
                pass
    return found


def hangs_on(recorded: Recorded) -> bool:
    return not recorded.envelope.kind.startswith(("policy_adoption.", "uses."))


def link_of(recorded: Recorded) -> dict[str, Any]:
    envelope = recorded.envelope
    return {
        "event_id": envelope.event_id, "log_position": recorded.log_position, "case": envelope.case,
        "at": envelope.at.isoformat(), "kind": envelope.kind, "clauses": list(envelope.clauses),
    }  # fmt: skip
