"""What people write of patrons, made ready for the form: everyone gets a number, and of a day of birth only the month
of coming of age is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID, uuid5

from domain.consent_messages import RecordConsent
from domain.facts import Malformed
from domain.patron_basis import Form
from domain.photo_permission_messages import IdentifyPerson, TakePictureIn
from domain.revocation_messages import AskRevocation
from services.ledger import Rules
from services.patrons import PatronIndex

PATRONS = UUID("a4f0a1c6-5c0e-5f7e-9f44-0f5a6c2a9d11")
OLDEST_YEARS = 120
HOW_BORN = "a day of birth, such as 2015-06-30"
# as in `domain/consent.py`: what a patron can be found by, and the fields that say it
SAID_OF_PATRON = {"name": "name", "email": "email", "telephone": "telephone", "handle": "handle"}
SAID_OF_GUARDIAN = {"guardian_name": "name", "email": "email", "telephone": "telephone"}
A_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def numbered(kind: str, fields: Any, command_id: str, rules: Rules) -> Any:
    """The same fields with a number for everyone who has none. The same command gives the same numbers. Malformed
    where a day of birth cannot be one."""
    if not isinstance(fields, dict):
        return fields
    match kind:
        case RecordConsent.kind:
            return with_guardian(with_patron(of_age(fields, rules), command_id), command_id)
        case AskRevocation.kind:
            return with_patron(fields, command_id)
        case TakePictureIn.kind if isinstance(fields.get("persons"), list):
            persons = [with_number(each, command_id, f"persons.{nth}") for nth, each in enumerate(fields["persons"])]
            return fields | {"persons": persons}
        case IdentifyPerson.kind:
            return fields | {"person": with_number(fields.get("person"), command_id, "person")}
        case _:
            return fields


def with_patron(fields: dict[str, Any], command_id: str) -> dict[str, Any]:
    if fields.get("form") == Form.EVENT_NOTICE.value or fields.get("patron") is not None:
        return fields
    return fields | {"patron": number(command_id, "patron")}


def with_guardian(fields: dict[str, Any], command_id: str) -> dict[str, Any]:
    needs_one = fields.get("form") == Form.GUARDIAN.value or fields.get("guardian_name")
    if not needs_one or fields.get("guardian") is not None:
        return fields
    return fields | {"guardian": number(command_id, "guardian")}


def with_number(person: Any, command_id: str, at: str) -> Any:
    if not isinstance(person, dict) or person.get("patron") is not None:
        return person
    return person | {"patron": number(command_id, at)}


def number(command_id: str, whose: str) -> str:
    """As random as the command's own id, and saying nothing of who it is."""
    return str(uuid5(PATRONS, f"{command_id}/{whose}"))


def of_age(fields: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """`born` comes in and goes no further: what stays is whether they are a minor, and until which month."""
    if "born" not in fields:
        return fields
    born, years = day_of_birth(fields["born"], rules.today), rules.settings.age_of_majority_years.value
    rest = {name: value for name, value in fields.items() if name != "born"}
    of_age_in = date(born.year + years, born.month, 1)
    if of_age_in <= rules.today.replace(day=1):
        return rest | {"minor": False}
    return rest | {"minor": True, "of_age_in": of_age_in.isoformat()}


def day_of_birth(text: Any, today: date) -> date:
    try:
        born = date.fromisoformat(text) if isinstance(text, str) and A_DAY.fullmatch(text) else None
    except ValueError:
        born = None
    if born is None:
        raise Malformed("born", "not a day", HOW_BORN)
    if born > today:
        raise Malformed("born", "that day is still to come", HOW_BORN)
    if born.year < today.year - OLDEST_YEARS:
        raise Malformed("born", f"more than {OLDEST_YEARS} years ago", HOW_BORN)
    return born


def note_patrons(kind: str, fields: Mapping[str, Any], index: PatronIndex) -> None:
    """So that they are found by what they can say: hashed with a key, and erased with them."""
    if kind not in (RecordConsent.kind, AskRevocation.kind):
        return
    by_guardian = fields.get("guardian") is not None
    said = {"name": "name", "handle": "handle"} if by_guardian else SAID_OF_PATRON
    note(index, fields.get("patron"), fields, said)
    note(index, fields.get("guardian"), fields, SAID_OF_GUARDIAN)


def note(index: PatronIndex, patron: Any, fields: Mapping[str, Any], said: Mapping[str, str]) -> None:
    values = {kind: fields[name] for name, kind in said.items() if isinstance(fields.get(name), str)}
    if isinstance(patron, str) and values:
        index.note(patron, values)
