"""A library in memory to which patrons entrust real texts: each is sealed by the door's own code, under keys that can
be destroyed, so that what an erasure leaves can be looked at in milliseconds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from domain.erasure import ErasureCase, Stage
from domain.erasure_messages import (
    AgreeToErase,
    AskedBy,
    AskErasure,
    RecordDestruction,
    RefuseErasure,
    ReportWhatStands,
    Trace,
)
from domain.facts import Actor, ActorKind, Command, Evidence, Fact, State, patrons_in
from domain.legal_hold import HoldPlaced, Over, PlaceHold, ReleaseHold
from domain.pages import CASE_PROCESSES
from services.erasing import keys_of as keys_to_destroy
from services.forms import at_path, filled_in, keys_of, patron_keys
from services.key_store import CannotOpen, KeyDestroyed
from services.openings import in_clear
from services.seal import Seal
from services.submissions import Submission
from tests.domain.patrons import CLERK, DIRECTOR, MANAGER, Patrons, case_of, patron
from tests.domain.world import TIMER, sealed

LONGEST = 2_000
ERASURE = "erasure"


class KeysInMemory:
    """In the place of the table of wrapping keys."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}
        self._destroyed: set[str] = set()

    def keys(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        wanted = list(key_ids)
        if gone := self._destroyed & set(wanted):
            raise KeyDestroyed(f"destroyed: {', '.join(sorted(gone))}")
        for each in wanted:
            self._keys.setdefault(each, hashlib.sha256(each.encode()).digest())
        return self.existing(wanted)

    def existing(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        return {each: self._keys[each] for each in key_ids if each in self._keys}

    def destroy(self, key_id: str) -> None:
        self._keys.pop(key_id, None)
        self._destroyed.add(key_id)


class Said(NamedTuple):
    """A text or file that came in by the door, in which case, and the patrons whom it was about then."""

    text: str
    case: str
    about: frozenset[str]


class Entrusted(Patrons):
    """Whatever text stands in a command is said anew, in clear, to the door."""

    def __init__(self) -> None:
        self.keys = KeysInMemory()
        self.seal = Seal(self.keys)
        self.said: list[Said] = []
        self.files: dict[str, tuple[Evidence, bytes]] = {}
        self.commands = 0
        super().__init__()

    def next_command(self) -> str:
        self.commands += 1
        return str(uuid5(NAMESPACE_URL, f"command/{self.commands}"))

    def does(self, case: str, command: Command, by: Actor) -> tuple[Fact, ...]:
        if by.kind not in (ActorKind.PERSON, ActorKind.PATRON):
            return super().does(case, command, by)
        id_, said_before = self.next_command(), len(self.said)
        try:
            decision = self.judged(case, self.through_the_door(command, case, id_), by, id_)
        except Exception:
            del self.said[said_before:]
            raise
        self.record(case, list(decision.facts), by, decision.authority, id_)
        return decision.facts

    def through_the_door(self, command: Command, case: str, id_: str) -> Command:
        fields = command.model_dump(mode="json", exclude_none=True)
        concerned = self.concerned_in(case)
        about = frozenset(named_in(fields)) | self.named_so_far(case)
        for path in type(command).secret_texts:
            fields = at_path(fields, path.split("."), "", lambda _, at: self.says_of(case, about, at))
        filled = filled_in(command.kind, fields, case, id_, self.seal, LONGEST, concerned)
        if filled.get("evidence"):
            text = self.says_of(case, about, "evidence")
            self.files[text] = self.seal.file(text.encode(), "image/png", case, patron_keys(concerned))
            filled["evidence"] = [self.files[text][0].model_dump(mode="json")]
        return Submission(kind=command.kind, id=id_, case=case, fields=filled).command

    def says_of(self, case: str, about: frozenset[str], at: str) -> str:
        said = Said(f"marker {len(self.said)} of {self.commands} in {at}.", case, about)
        self.said.append(said)
        return said.text

    def named_so_far(self, case: str) -> frozenset[str]:
        """Everyone whom this case is about by its plain facts, without asking the process."""
        if case.partition("-")[0] not in CASE_PROCESSES:
            return frozenset()
        return frozenset(who for each in self.streams.get(case, []) for who in named_in(each.envelope.fact))

    def concerned_in(self, case: str) -> tuple[str, ...]:
        concerned: tuple[str, ...] = getattr(self.state(case), "concerned", tuple)()
        return concerned

    # what is seen of it

    def shown(self) -> list[dict[str, Any]]:
        """Every fact as those see it who may see all."""
        opening = self.seal.opening(keys_of([each.envelope.fact for each in self.log]))
        return [in_clear(each, opening) for each in self.log]

    def opens(self, file: tuple[Evidence, bytes]) -> bool:
        try:
            return bool(self.seal.opened_file(*file))
        except CannotOpen:
            return False

    # legal holds and erasures

    def holds(self, over: Over, of: str = "") -> str:
        (placed,) = self.says(CLERK, PlaceHold(over=over, of=of, reason=sealed()), "legal_hold")
        assert isinstance(placed, HoldPlaced)
        return placed.hold

    def releases(self, hold: str) -> None:
        self.says(DIRECTOR, ReleaseHold(hold=hold, reason=sealed()), "legal_hold")

    def erasure(self, nth: int) -> ErasureCase:
        state = self.state(case_of(ERASURE, nth))
        assert isinstance(state, ErasureCase)
        return state

    def asks_erasure(self, nth: int, who: int) -> None:
        ask = AskErasure(patron=patron(who), asked_by=AskedBy.PATRON, reason=sealed())
        self.says(MANAGER, ask, case_of(ERASURE, nth))

    def looks(self, nth: int) -> None:
        """As the system does it where an erasure waits for that."""
        state = self.erasure(nth)
        if state.stage in (Stage.LOOKING, Stage.AGREED):
            self.does(state.case, ReportWhatStands(traces=self.traces(state.patron)), TIMER)

    def agrees(self, nth: int, person: str, content: str = "") -> None:
        self.says(person, AgreeToErase(content=content or self.content_of(nth)), case_of(ERASURE, nth))

    def refuses_erasure(self, nth: int, person: str) -> None:
        self.says(person, RefuseErasure(content=self.content_of(nth), reason=sealed()), case_of(ERASURE, nth))

    def content_of(self, nth: int) -> str:
        return self.erasure(nth).content or "0" * 64

    def destroys(self, nth: int) -> None:
        state = self.erasure(nth)
        if state.stage is Stage.DESTROYING:
            theirs = [(self.state(each.case), self.streams[each.case]) for each in self.traces(state.patron)]
            for key in keys_to_destroy(state.patron, theirs):
                self.keys.destroy(key)
            done = RecordDestruction(kek_before="before", kek_after="after", survivors=1)
            self.does(state.case, done, TIMER)

    def traces(self, who: str) -> tuple[Trace, ...]:
        """Where the log has something under their key, and how that stands."""
        newest = {
            each.envelope.case: each.envelope.at
            for each in self.log
            if who in patrons_in(each.envelope.fact) and not each.envelope.case.startswith(ERASURE)
        }
        return tuple(Trace(case=case, open=self.is_open(case), newest=at) for case, at in newest.items())

    def is_open(self, case: str) -> bool:
        state: State = self.state(case)
        return state.is_open()


def named_in(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value[key] for key in ("patron", "guardian") if isinstance(value.get(key), str)]
        return own + [who for each in value.values() for who in named_in(each)]
    return [who for each in value for who in named_in(each)] if isinstance(value, list) else []
