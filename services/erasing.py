"""What the system does itself when a patron is to be forgotten: look where the log has something of them, and destroy
their key. Each is safe to repeat: it is recorded by the stage that it ends, and a key is destroyed once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid5

from psycopg import Error as DatabaseError
from psycopg.sql import SQL
from temporalio import activity

from domain.attempts import SUFFIX
from domain.erasure import PROCESS, ErasureCase, Stage
from domain.erasure_messages import RecordDestruction, ReportWhatStands, Trace
from domain.facts import Command, Recorded, Refused, State, case_key, patron_key, stem_of
from domain.openings import BESIDE
from services.activities import as_facts_of_case, this_run
from services.key_rotation import destroy, finish
from services.key_store import CannotOpen, KeyFile
from services.ledger import EVENT_IDS, SYSTEM, Ledger
from services.patrons import PatronIndex
from services.recorder import DATABASE_AWAY
from workflows.erasure import DESTROY, LOOK
from workflows.messages import Ask, Told

# a command that was signed and not sent may still be recorded for as long as its credential lives
LATE_BY = timedelta(hours=1)
SWEEP_EVERY_SECONDS = 3600.0
# sealed values name their keys in the stored bytes: rare enough to be looked for through the whole log
WHERE_SEALED = SQL(
    "select originator_id as stream, max(at) as newest from ledger.events "
    "where position(%s::bytea in state) > 0 group by originator_id order by originator_id"
)

log = logging.getLogger("imprimatur.erasing")


class ErasureActivities:
    def __init__(self, ledger: Ledger, keeper_url: str, file: KeyFile) -> None:
        self._ledger, self._keeper_url, self._file = ledger, keeper_url, file

    @activity.defn(name=LOOK)
    def look(self, ask: Ask) -> Told:
        """Whether a hold, an open case or a term stands against it: before anyone decides, and once more at the end."""
        state = self._state(ask.case)
        if state.stage in (Stage.LOOKING, Stage.AGREED):
            self._submit(state, "look", ReportWhatStands(traces=tuple(self._traces(state.patron))))
        return self._told(ask)

    @activity.defn(name=DESTROY)
    def destroy(self, ask: Ask) -> Told:
        state = self._state(ask.case)
        if state.stage is Stage.DESTROYING:
            done = destroy(self._keeper_url, self._file, self._keys_of(state.patron))
            proof = RecordDestruction(kek_before=done.before, kek_after=done.after, survivors=done.survivors)
            self._submit(state, "destroyed", proof)
        return self._told(ask)

    def finish_what_was_begun(self) -> None:
        """A rotation that was killed leaves its rest to whoever starts next; where that fails it is tried by the next
        one, and until then both key-encryption keys are looked at."""
        try:
            finish(self._keeper_url, self._file)
        except (CannotOpen, DatabaseError, OSError) as error:
            log.error("the key-encryption key could not be looked after: %s", type(error).__name__)

    def all(self) -> list[Any]:
        return [self.look, self.destroy]

    def _state(self, case: str) -> ErasureCase:
        state = self._ledger.state(case)
        return state if isinstance(state, ErasureCase) else ErasureCase(case=case)

    def _submit(self, state: ErasureCase, step: str, command: Command) -> None:
        id_ = str(uuid5(EVENT_IDS, f"{state.case}/{step}/{state.position}"))
        self._ledger.submit_own(command, state.case, SYSTEM, id_, state.case, this_run())

    def _told(self, ask: Ask) -> Told:
        self._ledger.state(ask.case)
        return Told(facts=as_facts_of_case(self._ledger.facts_after(ask.case, ask.after)))

    def _keys_of(self, patron: str) -> list[str]:
        return keys_of(patron, (self._ledger.read_on(each.case) for each in self._traces(patron)))

    def _traces(self, patron: str) -> Iterator[Trace]:
        """Everywhere but in the erasures themselves."""
        with self._ledger.recorder.datastore.get_connection() as conn:
            rows = conn.execute(WHERE_SEALED, (patron_key(patron).encode(),)).fetchall()
        newest: dict[str, datetime] = {}
        for row in rows:
            case = str(row["stream"]).removesuffix(SUFFIX).removeprefix(BESIDE)
            if stem_of(case) != PROCESS:
                newest[case] = max(row["newest"], newest.get(case, row["newest"]))
        for case, at in newest.items():
            state = self._ledger.state(case)
            account = cast(Any, state).search().get("Account", "") if hasattr(state, "search") else ""
            yield Trace(case=case, open=not state.closed(), account=account, newest=at)


class IndexSweeper:
    """A patron is findable before their command is recorded, so that nobody on record is ever not found. Where nothing
    came of it, not even a refused attempt, their values are taken out of the index again."""

    def __init__(self, ledger: Ledger, index: PatronIndex) -> None:
        self._ledger, self._index = ledger, index

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await asyncio.to_thread(self.one_pass)
            except (Refused, CannotOpen, *DATABASE_AWAY) as error:
                log.warning("the search for patrons was not swept: %s", type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SWEEP_EVERY_SECONDS)

    def one_pass(self) -> int:
        """How many values were taken out."""
        library = self._ledger.library()
        hours = library.policy.settings.credential_life_hours.value
        return self._index.sweep(
            timedelta(hours=hours) + LATE_BY, lambda each: bool(library.on_record_of(each)) or self._is_sealed_for(each)
        )

    def _is_sealed_for(self, patron: str) -> bool:
        with self._ledger.recorder.datastore.get_connection() as conn:
            return conn.execute(WHERE_SEALED, (patron_key(patron).encode(),)).fetchone() is not None


def keys_of(patron: str, cases: Iterable[tuple[State, Iterable[Recorded]]]) -> list[str]:
    """What is destroyed with a patron: their own key, and the key of each case that is about them as a whole though
    something in it was sealed before that was known. A picture in which someone was recognised later is one."""
    own = patron_key(patron)
    found = [own]
    for state, recorded in cases:
        concerned: tuple[str, ...] = getattr(state, "concerned", tuple)()
        if patron in concerned and any(own not in under for each in recorded for under in seals(each.envelope.fact)):
            found.append(case_key(state.case))
    return found


def seals(value: object) -> Iterator[Collection[str]]:
    """The names of the keys of everything sealed in this value: texts and files."""
    if isinstance(value, dict):
        if "wrapped" in value and "under" in value:
            yield value["under"]
        for each in value.values():
            yield from seals(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from seals(each)
