"""What an auditor looks at and takes away, asked of the running system's desk: the past, the trail, exports, stories.

Whatever is taken away is on record before it is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from domain import disclosure
from domain.disclosure import NoteExport
from domain.facts import Actor, ActorKind, Channel, Malformed, NoAuthority, Refused
from services.audit import ocel
from services.audit.as_of import as_of, differing, known_up_to, only_past
from services.audit.exports import cloud_events, comma_separated, json_lines
from services.audit.ocel_checks import dangling
from services.audit.package import Asked, packed
from services.audit.reading import reading
from services.audit.selection import Selection, how_many, selected
from services.audit.story import Story, as_html, story_of
from services.audit.story_pdf import write_pdf
from services.founding import operator_name
from services.ledger import Answer, Sender, operator

if TYPE_CHECKING:
    from services.desk import Desk

PACKAGE, HTML, PDF = "package", "html", "pdf"
SEEN_WITHIN_SECONDS = 5.0
WRITERS: dict[str, Callable[[Iterator[dict[str, Any]], Path], None]] = {
    "jsonl": json_lines,
    "csv": comma_separated,
    "cloudevents": cloud_events,
    "ocel": ocel.sqlite,
    "ocel-json": ocel.as_json,
}
FORMATS = (PACKAGE, *WRITERS, HTML, PDF)
# what each is named where several are written into one folder
FILES = {
    PACKAGE: "package", "jsonl": "events.jsonl", "csv": "events.csv", "cloudevents": "cloudevents.jsonl",
    "ocel": "ocel.sqlite", "ocel-json": "ocel.json", HTML: "story.html", PDF: "story.pdf",
}  # fmt: skip


class NotWhole(Exception):
    """What was written does not hold together: it is not handed out."""


# -- the past


def registers(desk: Desk, at: datetime, in_force_at: datetime | None) -> dict[str, Any]:
    with caught_up(desk) as conn:
        only_past(conn, at, desk.clock.now(), "T")
        return as_of(conn, at, in_force_at)


def changes(desk: Desk, first: datetime, second: datetime) -> dict[str, Any]:
    if second < first:
        raise Malformed("T2", "it is before T1", "the earlier moment first")
    with caught_up(desk) as conn:
        for at, name in ((first, "T1"), (second, "T2")):
            only_past(conn, at, desk.clock.now(), name)
        return differing(conn, first, second)


@contextmanager
def caught_up(desk: Desk) -> Iterator[Connection[DictRow]]:
    """A moment's view in which the projections have everything that is in the log."""
    from services.desk import Unreachable

    try:
        position = desk.ledger.recorder.max_notification_id() or 0
        desk.views.wait_for(position, SEEN_WITHIN_SECONDS)
        with reading(desk.settings.reader_url) as conn:
            if known_up_to(conn) < position:
                raise Unreachable("the projector (it is behind the log)")
            yield conn
    except psycopg.OperationalError as error:
        raise Unreachable("PostgreSQL") from error


# -- taking away


def sender_of(person: str | None) -> Sender:
    """The auditor who is named, else whoever runs the installation."""
    if not person:
        return operator(operator_name())
    return Sender(Actor(kind=ActorKind.PERSON, id=person), "access to the installation", Channel.CLI, None)


def export(desk: Desk, out: Path, selection: Selection, formats: tuple[str, ...], person: str | None) -> dict[str, Any]:
    """Write each format; what was written, by file. Refused where the person may not; then nothing is written."""
    possible(formats, selection, out)
    with caught_up(desk) as conn:
        events, up_to = how_many(conn, selection)
        if not events:
            raise Malformed("export", "no event is what was asked for", "a case, person or period that has some")
    on_record(desk, selection, formats, events, up_to, sender_of(person))
    if len(formats) == 1:
        return {"out": str(out), "events": events, formats[0]: written(desk, formats[0], selection, out)}
    out.mkdir(parents=True)
    each_in_its_own = {each: written(desk, each, selection, out / FILES[each]) for each in formats}
    return {"out": str(out), "events": events, **each_in_its_own}


def possible(formats: tuple[str, ...], selection: Selection, out: Path) -> None:
    if unknown := [each for each in formats if each not in FORMATS]:
        raise Malformed("--format", f"there is no format {unknown[0]}", f"of {', '.join(FORMATS)}")
    if {HTML, PDF} & {*formats} and not selection.case:
        raise Malformed("--case", "a story is of one case", "--case CASE")
    if PACKAGE in formats:
        only = [name for name in ("branch", "clause", "channel", "refused") if getattr(selection, name) is not None]
        if only:
            raise Malformed(f"--{only[0]}", "no package can prove that it has all of these", "another --format")
        _ = asked(selection).scope
    if out.exists():
        raise Malformed("OUT", f"{out} is there already", "a path that is not there yet")


def on_record(
    desk: Desk, selection: Selection, formats: tuple[str, ...], events: int, up_to: int, sender: Sender
) -> Answer:
    note = NoteExport(
        of_case=selection.case or "", of_person=selection.person or "", of_account=selection.account or "",
        of_branch=selection.branch or "", since=selection.since, until=selection.until, formats=formats,
        events=events, up_to=up_to,
    )  # fmt: skip
    stream = disclosure.stream_of(selection.case) if selection.case else disclosure.OF_ALL
    answer = desk.ledger.submit_own(note, stream, sender, str(uuid4()))
    if answer.refusal:
        refused = NoAuthority if answer.refusal.lacks_authority else Refused
        raise refused(answer.refusal.clauses, answer.refusal.because, answer.refusal.remedy)
    return answer


def asked(selection: Selection) -> Asked:
    return Asked(
        selection.case or "", selection.person or "", selection.account or "", selection.since, selection.until
    )


def written(desk: Desk, format_: str, selection: Selection, out: Path) -> dict[str, Any]:
    if format_ == PACKAGE:
        return packed(desk.settings, asked(selection), out)
    if format_ in (HTML, PDF):
        story = told(desk, selection.case or "")
        write_pdf(story, out) if format_ == PDF else out.write_text(as_html(story), encoding="utf-8")
        return {"file": str(out), "title": story.title, "steps": len(story.lines)}
    with reading(desk.settings.reader_url) as conn:
        WRITERS[format_](selected(conn, selection), out)
    if format_.startswith("ocel") and (wrong := dangling(out)):
        out.unlink()
        raise NotWhole(f"{out}: {wrong[0]}")
    return {"file": str(out)}


# -- the story


def told(desk: Desk, case: str) -> Story:
    from services.desk import NoSuchCase

    state = desk.ledger.state(case)
    with caught_up(desk) as conn:
        events = [*selected(conn, Selection(case=case))]
    if not events or not state.position:
        raise NoSuchCase("case", f"there is no case {case}", "an id that `case list` shows")
    return story_of(case, str(getattr(state, "stage", "")), events, desk.ledger.library(), desk.clock.now())


def in_thread(question: Callable[..., Any], *given: Any) -> Callable[[Any], Any]:
    """Asked of a desk, without holding its loop."""

    async def asking(desk: Any) -> Any:
        return await asyncio.to_thread(partial(question, desk, *given))

    return asking
