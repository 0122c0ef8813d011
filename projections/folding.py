"""What projections hold in memory while they go through the log: cases as they stand, and the library as it stands.

Both are folded by the domain's own evolve. What is not in memory is folded again from the log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, cast

from psycopg import Cursor
from psycopg.rows import DictRow

from domain.facts import Envelope, State, stem_of
from domain.pages import PAGES, is_of_a_case
from domain.register import Register
from domain.waiting import Wait
from projections.projection import Logged

CASES_IN_MEMORY = 10_000
COLUMNS = "originator_id, originator_version, topic, state, notification_id, recorded_at"
EARLIER_IN_THESE_CASES = (
    f"select {COLUMNS} from ledger.events where originator_id = any (%s) and notification_id < %s "  # noqa: S608  # constants
    "order by originator_id, originator_version"
)
THE_LIBRARY_UP_TO = (
    f"select {COLUMNS} from ledger.events where shared and notification_id <= %s order by notification_id"  # noqa: S608
)


class CaseState(Protocol):
    """What every process says of a case, whatever else it keeps."""

    case: str
    position: int
    stage: StrEnum
    requester: str
    content: str
    waiting: Wait | None

    def closed(self) -> bool: ...

    def search(self) -> dict[str, str]: ...

    def model_dump_json(self) -> str: ...


class Folded(NamedTuple):
    """A case after an event: `last` is that event's envelope."""

    state: CaseState
    opened_at: datetime
    last: Envelope
    log_position: int

    @property
    def process(self) -> str:
        return stem_of(self.last.case)


class Cases:
    """The cases of every process that has a page, each folded by its own."""

    def __init__(self, most: int = CASES_IN_MEMORY) -> None:
        self._folded: OrderedDict[str, Folded] = OrderedDict()
        self._most = most

    def after(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> dict[str, Folded]:
        """Every case that the page moves, as it stands at the page's end."""
        return {folded.last.case: folded for _, folded in self.step_by_step(page, cursor) if folded}

    def step_by_step(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> Iterator[tuple[Logged, Folded | None]]:
        """Each event with its case as it stands then; None beside what belongs to no case."""
        self._bring_back(page, cursor)
        for event in page:
            yield event, self._fold(event) if is_of_a_case(event.stream) else None

    def _fold(self, event: Logged) -> Folded:
        known, page = self._folded.get(event.stream), PAGES[stem_of(event.stream)]
        state = page.fold(cast(State, known.state) if known else page.initial(event.stream), [event.recorded])
        folded = Folded(
            cast(CaseState, state),
            known.opened_at if known else event.envelope.at,
            event.envelope,
            event.log_position,
        )
        self._folded[event.stream] = folded
        self._folded.move_to_end(event.stream)
        return folded

    def _bring_back(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        while len(self._folded) > self._most:
            self._folded.popitem(last=False)
        begun = {event.stream for event in page if event.position == 1}
        streams = {event.stream for event in page if is_of_a_case(event.stream)} - begun - self._folded.keys()
        if streams:
            cursor.execute(EARLIER_IN_THESE_CASES.encode(), (list(streams), page[0].log_position))
            for event in as_logged(cursor.fetchall()):
                self._fold(event)


def waits_of(state: CaseState) -> dict[str, Wait]:
    """What waits for people, by name; a case that waits for one thing at a time has no name for it."""
    tasks = getattr(state, "tasks", None)
    if tasks is not None:
        return dict(tasks())
    return {"": state.waiting} if state.waiting else {}


def library_as_of(cursor: Cursor[DictRow], position: int) -> Register:
    register = Register()
    for event in as_logged(cursor.execute(THE_LIBRARY_UP_TO.encode(), (position,)).fetchall()):
        learn(register, event)
    return register


def learn(register: Register, event: Logged) -> None:
    if event.of_the_library:
        register.evolve(event.envelope, event.fact, event.log_position)


def as_logged(rows: Sequence[dict[str, Any]]) -> list[Logged]:
    return [Logged(*row.values()) for row in rows]
