"""What people fill in, made into a command's fields: texts are looked at and sealed, nothing else is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from domain.facts import KINDS, Command, Malformed, PatronId, Sealed, patron_key
from services.seal import ERASED, CannotOpen, KeyDestroyed, Opening, Seal, Sealing

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
SEALED_FIELDS = set(Sealed.model_fields)
PATRON: TypeAdapter[str] = TypeAdapter(PatronId)


def command_kind(process: str, name: str) -> str:
    """The stored name of a command: `ApproveAccount` of `account_creation`, or the whole name itself."""
    kind = name if "." in name else f"{process}.{name}"
    if not issubclass(KINDS.get(kind, object), Command) or kind.partition(".")[0] not in (process, "waiting"):
        known = sorted(each.partition(".")[2] for each in commands_of(process))
        raise Malformed("command", f"{process} has no command {name}", f"one of {', '.join(known)}")
    return kind


def commands_of(process: str) -> list[str]:
    return [kind for kind, found in KINDS.items() if issubclass(found, Command) and kind.startswith(f"{process}.")]


def fields_shown(kind: str) -> dict[str, str]:
    """Each field of a command with its type, for people; a sealed one is written as plain text."""
    found = KINDS[kind]
    return {
        name: ("text" if name in getattr(found, "secret_texts", ()) else type_name(field.annotation))
        + ("" if field.is_required() else " (optional)")
        for name, field in found.model_fields.items()
    }


def type_name(annotation: Any) -> str:
    return (
        getattr(annotation, "__name__", str(annotation))
        if isinstance(annotation, type)
        else str(annotation).replace("typing.", "")
    )


def filled_in(
    kind: str,
    fields: dict[str, Any],
    case: str,
    command_id: str,
    seal: Seal,
    longest: int,
    concerns: Iterable[str] = (),
) -> dict[str, Any]:
    """The fields with every free text sealed for this case, command and place, under the keys of the patrons whom it
    concerns: those that the command names, and these. Malformed names the text it is about."""
    if not isinstance(fields, dict):
        raise Malformed("fields", "not a JSON object", '{"field": "value", …}')
    found = KINDS[kind]
    named = found.patrons_concerned(fields) if issubclass(found, Command) else ()
    sealing: list[Sealing] = []

    def seal_one(text: Any, at: str) -> dict[str, Any]:
        a_plain_text(text, at, longest)
        if not sealing:  # the keys are asked for once, and not at all where there is no text
            sealing.append(sealing_for(case, command_id, seal, (*named, *concerns)))
        return sealing[0].text(text, at).model_dump(mode="json")

    filled: Any = fields
    for path in getattr(found, "secret_texts", ()):
        filled = at_path(filled, path.split("."), "", seal_one)
    return dict(filled)


def sealing_for(case: str, command_id: str, seal: Seal, patrons: Iterable[Any]) -> Sealing:
    try:
        return seal.under(case, command_id, patron_keys(patrons))
    except KeyDestroyed:
        raise Malformed("concerns", "someone of these was erased, and nothing more is kept of them", "others") from None


def patron_keys(patrons: Iterable[Any]) -> list[str]:
    """The names of their keys. Malformed where one of them is no patron's id."""
    try:
        return [patron_key(PATRON.validate_python(each)) for each in patrons]
    except ValidationError:
        raise Malformed("concerns", "not the id of a patron", "ids as the door gave them") from None


def at_path(value: Any, path: list[str], so_far: str, change: Callable[[Any, str], Any]) -> Any:
    """The same value with whatever stands at the path changed; `*` is each item of a list. What is absent stays so."""
    if not path:
        return change(value, so_far)
    first, *rest = path
    if first == "*" and isinstance(value, list):
        return [at_path(each, rest, f"{so_far}.{nth}".lstrip("."), change) for nth, each in enumerate(value)]
    if isinstance(value, dict) and value.get(first) is not None:
        return value | {first: at_path(value[first], rest, f"{so_far}.{first}".lstrip("."), change)}
    return value


def a_plain_text(text: Any, at: str, longest: int) -> None:
    if not isinstance(text, str):
        raise Malformed(at, "is not a text", "a text in quotes")
    if not text.strip():
        raise Malformed(at, "is empty", "say it in a few words")
    if len(text) > longest:
        raise Malformed(at, f"{len(text)} characters are too many", f"at most {longest} characters")
    if CONTROL.search(text):
        raise Malformed(at, "has a control character (such as NUL) in it", "plain text with line breaks at most")


def keys_of(value: Any) -> set[str]:
    """Every wrapping key that something in this value is sealed under."""
    if isinstance(value, dict) and set(value) == SEALED_FIELDS:
        return set(value["under"])
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return {key for each in parts for key in keys_of(each)}


def opened(value: Any, command_id: str, opening: Opening, at: str = "") -> Any:
    """The same value with every sealed text in clear, or `[erased]` where its key is gone."""
    if isinstance(value, dict) and set(value) == SEALED_FIELDS:
        try:
            return opening.text(Sealed.model_validate(value), command_id, at)
        except CannotOpen:
            return ERASED
    if isinstance(value, dict):
        return {name: opened(each, command_id, opening, f"{at}.{name}".lstrip(".")) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [opened(each, command_id, opening, f"{at}.{nth}".lstrip(".")) for nth, each in enumerate(value)]
    return value


def still_sealed(value: Any) -> Any:
    """The same value with `[sealed]` in place of every sealed text."""
    if isinstance(value, dict) and set(value) == SEALED_FIELDS:
        return "[sealed]"
    if isinstance(value, dict):
        return {name: still_sealed(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [still_sealed(each) for each in value]
    return value
