"""The one door: decides a command by the policy and records what follows, once, whatever is killed meanwhile.

An eventsourcing application whose events are envelopes around facts. It decides on what it has in memory and makes the
record conditional on that still being so; when something moved it reads on and decides again, and after three losses it
decides while it holds the lock. A command id that was answered before gets its first answer.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock, RLock
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4, uuid5

from eventsourcing.application import Application
from eventsourcing.persistence import InterfaceError, Mapper, OperationalError, StoredEvent
from psycopg import Connection
from psycopg.rows import DictRow, TupleRow

from domain.attempts import AttemptRefused, AttemptsSuppressed, stream_beside
from domain.facts import (
    Act,
    Actor,
    ActorKind,
    Authority,
    Channel,
    Command,
    Envelope,
    Fact,
    Malformed,
    NoAuthority,
    Page,
    Recorded,
    Refused,
    State,
    content_hash,
    stem_of,
)
from domain.hr_register import HrRegister
from domain.library import Library
from domain.pages import CASE_PROCESSES, PAGES
from domain.policy import Settings
from domain.register import Register
from services.clock import Clock
from services.credentials import Proven, Unproven, Verifier
from services.recorder import (
    Known,
    LedgerRecorder,
    NotRecorded,
    Recording,
    Row,
    ToRecord,
    learn,
)
from services.submissions import Submission
from workflows.messages import NO_CASE

LOSSES_BEFORE_LOCKING = 3
LATELY_SECONDS = 1.0
WAIT_FOR_ANOTHERS_LOOK_SECONDS = 1.0
CASES_IN_MEMORY = 2_000
# of each case: what a workflow has not folded yet is rarely more than its newest facts
FACTS_IN_MEMORY = 16
EVENT_IDS = UUID("6c7f4c1e-7c2e-5b52-9a63-0d9f6f0f8a11")
AN_HOUR = timedelta(hours=1)
# until a policy is in force there is nothing else to go by
CREDENTIAL_LIFE_BEFORE_A_POLICY = timedelta(hours=72)
ATTEMPTS_BEFORE_A_POLICY = 20


class Refusal(NamedTuple):
    clauses: tuple[str, ...]
    because: str
    remedy: str
    lacks_authority: bool = False

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"clauses": list(self.clauses)}

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> Refusal:
        return cls(**(stored | {"clauses": tuple(stored["clauses"])}))


class Answer(NamedTuple):
    """What a command came to: the facts it made, or the refusal. `position` is the last log position of its record."""

    facts: tuple[Recorded, ...] = ()
    refusal: Refusal | None = None
    position: int = 0
    unproven: bool = False


@dataclass
class StoredFact:
    """An envelope as the eventsourcing library sees an event."""

    originator_id: str
    originator_version: int
    envelope: Envelope


class EnvelopeMapper(Mapper[str]):
    """The whole envelope is inside the stored bytes, under the fact's own stable name."""

    def to_stored_event(self, domain_event: StoredFact) -> StoredEvent:  # type: ignore[override]  # the only kind here
        envelope = domain_event.envelope
        return StoredEvent(envelope.case, envelope.position, envelope.kind, envelope.model_dump_json().encode())

    def to_domain_event(self, stored_event: StoredEvent) -> StoredFact:
        envelope = Envelope.model_validate_json(stored_event.state)
        return stored(envelope)


class InMemory(NamedTuple):
    """A case as this process knows it, with its newest facts."""

    state: State
    newest: tuple[Recorded, ...] = ()


class Sender(NamedTuple):
    """Who occupies a command id."""

    actor: Actor
    method: str
    channel: Channel
    signed_at: datetime | None

    @property
    def key(self) -> str:
        return f"{self.actor.kind.value}:{self.actor.id}"


class Rules(NamedTuple):
    """What a door goes by that decides nothing: the settings of the policy in force, and the day it is there."""

    settings: Settings
    today: date


class Ledger(Application[str]):
    name = "Ledger"
    env: ClassVar[dict[str, str]] = {}
    recorder: LedgerRecorder

    def __init__(self, url: str, clock: Clock, verifier: Verifier | None = None, pool_size: int = 10) -> None:
        super().__init__(env=postgres_env(url, pool_size))
        self.url, self.clock = url, clock
        self._verifier = verifier
        # Guards what is held in memory; never held while the database is asked.
        self._mutex = RLock()
        self._register = Register()
        self._cases: OrderedDict[str, InMemory] = OrderedDict()
        # on the monotonic clock: nothing of the library that stood in the log then is missing in memory
        self._looked_at = -math.inf
        # held by whoever looks for all
        self._looking = Lock()

    def construct_mapper(self) -> Mapper[str]:
        return EnvelopeMapper(self.construct_transcoder())

    # -- the doors of the door

    def submit(self, submission: Submission, workflow: str = "", run: str = "", cause: str = "") -> Answer:
        """Decide a person's command. Raises Malformed, of which nothing is recorded, and Unproven, which whoever
        received it hands to `refuse_unproven`."""
        return self.answer(self.attempt(submission, workflow, run, cause))

    def attempt(self, submission: Submission, workflow: str = "", run: str = "", cause: str = "") -> Attempt:
        """The command, once it can be read and its sender is proven; raises as `submit` does."""
        a_case_of_some_process(submission.case)
        command = submission.command
        proven = self.proven(submission)
        sender = Sender(proven.actor, proven.method, proven.channel, proven.signed_at)
        act = self._act(command, submission.id, submission.case, sender, cause)
        received = submission.model_dump(mode="json")
        return Attempt(act, sender, submission.content, received, workflow, run)

    def submit_own(
        self, command: Command, case: str, sender: Sender, command_id: str, workflow: str = "", run: str = ""
    ) -> Answer:
        """Decide a command of the system itself: a timer, the founding operator, an HR feed that was read here."""
        fields = command.model_dump(mode="json")
        received = {"kind": command.kind, "id": command_id, "case": case, "fields": fields, "credential": ""}
        content = content_hash({"kind": command.kind, "case": case, "fields": fields})
        act = self._act(command, command_id, case, sender)
        return self.answer(Attempt(act, sender, content, received, workflow, run))

    def rehearse(self, command: Command, case: str, sender: Sender) -> tuple[Fact, ...]:
        """What would follow, without recording it. Refused as it would be."""
        self._read_on(case)
        judged = self._judge(Attempt(self._act(command, "rehearsal", case, sender), sender))
        if judged.refused:
            raise judged.refused
        return judged.facts

    def foreseen(self, command: Command, case: str, sender: Sender) -> State | None:
        """The case as it will stand if nothing moves before this is decided, by what is in memory now; None where it
        would be refused."""
        judged = self._judge(Attempt(self._act(command, "rehearsal", case, sender), sender))
        if judged.refused or not judged.facts:
            return None
        state = self._in_memory(case)
        for position, fact in enumerate(judged.facts, start=judged.stood_at + 1):
            state = judged.attempt.page.fold_one(state, fact, position, judged.policy)
        return state

    def proven(self, submission: Submission) -> Proven:
        """Who sends this, or Unproven."""
        if not self.has_read():
            # how long a credential lives is the policy's to say, and this process has not read any yet
            self._read_on()
        now = self.clock.now()
        return self.verifier().proves(submission, now, self._credential_life(now))

    def verifier(self) -> Verifier:
        if self._verifier is None:
            raise Unproven("this system has no door key yet")
        return self._verifier

    # -- what anyone may ask of the ledger

    def library(self, version: str = "") -> Library:
        """The library as of now, read on to the newest event. What is learned later does not change it."""
        self._look(time.monotonic())
        with self._mutex:
            still = self._register.still()
        return Library(still, self.clock.now(), version)

    def hr(self) -> HrRegister:
        """What HR's systems have said, read on to the newest event: asked at each of their requests, so one query."""
        self._learn_of_the_library([recorded_from(row) for row in self.recorder.shared_after(self._register.position)])
        return self._register.hr

    def library_position(self) -> int:
        """The log position of the newest event that changed what decisions know of the library."""
        self._look(time.monotonic())
        with self._mutex:
            return self._register.outside_position

    def state(self, case: str) -> State:
        """The case as it stands in the log now."""
        self._read_on(case)
        return self._in_memory(case)

    def seen(self, case: str) -> State:
        """The case as it stands in the log now, for whoever looks at the rest of the library by `rules`."""
        if not self._look(lately(), case):
            newer = self.recorder.stream_after(case, self._in_memory(case).position)
            self._learn(case, [recorded_from(row) for row in newer])
        return self._in_memory(case)

    def rules(self) -> Rules:
        """What a door looks at, by what this process has read within the last second: many who come together look once.
        The command is decided by what stands in the log when it is recorded."""
        self._look(lately())
        with self._mutex:
            library = Library(self._register, self.clock.now())
            return Rules(library.policy.settings, library.today)

    def _in_memory(self, case: str) -> State:
        with self._mutex:
            held = self._cases.get(case)
        if held:
            return held.state
        page = PAGES.get(stem_of(case))
        return page.initial(case) if page else State(case=case)

    def read_on(self, case: str) -> tuple[State, list[Recorded]]:
        """The case as it stands in the log now, and all its facts."""
        state = self.state(case)
        return state, self.facts_after(case, 0)[: state.position]

    def facts_after(self, case: str, position: int) -> list[Recorded]:
        """Every fact of the case after a stream position, its own and others'."""
        known = self.facts_in_memory(case, position)
        return [recorded_from(row) for row in self.recorder.stream_after(case, position)] if known is None else known

    def facts_in_memory(self, case: str, position: int) -> list[Recorded] | None:
        """The same where this process holds all of them; else None."""
        with self._mutex:
            held = self._cases.get(case)
        if held and 0 <= held.state.position - position <= len(held.newest):
            return [each for each in held.newest if each.envelope.position > position]
        return None

    def recorded(self, row: Row) -> Recorded:
        """A row of the log; not read from its bytes where this process knows what they say."""
        with self._mutex:
            held = self._cases.get(row.stream)
        known = (each for each in held.newest if each.log_position == row.log_position) if held else ()
        return next(iter(known), None) or recorded_from(row)

    # -- deciding

    def _act(self, command: Command, id_: str, case: str, sender: Sender, cause: str = "") -> Act:
        return Act(
            command=command,
            id=id_,
            case=case,
            by=sender.actor,
            at=self.clock.now(),
            channel=sender.channel,
            proven_by=sender.method,
            occurred_at=sender.signed_at,
            cause=cause or id_,
            correlation=case,
        )

    def answer(self, attempt: Attempt) -> Answer:
        """Decided and recorded; what in memory is out of date is read on, as often as it takes."""
        judged = self._judged_from_memory(attempt)
        for _ in range(LOSSES_BEFORE_LOCKING):
            if judged is None or not judged.facts:
                # what stands against it may be out of date, or be its own success: look before refusing
                if known := self._read_on(attempt.act.case, attempt):
                    return self._first_answer(known, attempt)
                judged = self._judge(attempt)
            try:
                answer = self._write(judged)
            except NotRecorded:
                # what it lost against is read first, be it its own success of which memory knows nothing
                judged = None
            else:
                self._learn(attempt.act.case, answer.facts)
                return answer
        return self._decide_while_holding_the_lock(attempt)

    def on_its_way(self, attempt: Attempt) -> OnItsWay | None:
        """What is to be recorded of it by what is in memory, for whoever asks the recorder by other means. None where
        the log has to be read first, as it is before anything is refused: that is for `answer`."""
        judged = self._judged_from_memory(attempt)
        if judged is None or not judged.facts:
            return None
        envelopes, recording = judged.envelopes(judged.stream, judged.stood_at, judged.facts), judged.recording()
        asked = ToRecord.of(recording, [self.mapper.to_stored_event(stored(each)) for each in envelopes])
        return OnItsWay(judged, envelopes, recording, asked)

    def arrived(self, sent: OnItsWay, row: TupleRow) -> Answer:
        """What the recording function answered to that, taken to heart; NotRecorded where it wrote nothing."""
        learn(sent.recording, row)
        recorded = self._recorded(sent.judged.facts, sent.envelopes, sent.recording)
        self._learn(sent.judged.stream, recorded)
        return Answer(recorded, position=sent.recording.last)

    def has_read(self) -> bool:
        """Whether this process knows anything of the library yet; until then, any question reads first."""
        return self._register.position > 0

    def _judged_from_memory(self, attempt: Attempt) -> Judged | None:
        return self._judge(attempt) if self._remembers(attempt) else None

    def _remembers(self, attempt: Attempt) -> bool:
        with self._mutex:
            return attempt.act.case in self._cases or isinstance(attempt.act.command, attempt.page.opens_with)

    def _judge(self, attempt: Attempt) -> Judged:
        act, page = attempt.act, attempt.page
        with self._mutex:
            held = self._cases.get(act.case)
            state = held.state if held else page.initial(act.case)
            library = Library(self._register, act.at, state.policy)
            facts, authority, refused = decided(page, act, state, library)
            policy = library.policy_version()
            return Judged(
                attempt=attempt,
                stream=act.case,
                stood_at=state.position,
                facts=facts,
                refused=refused,
                authority=authority,
                policy=policy,
                reads=tuple(sorted(library.read)),
                read_up_to=self._register.position,
            )

    def _write(self, judged: Judged, within: Connection[DictRow] | None = None) -> Answer:
        """The judgement on record: its facts, its refusal, or that nothing followed. What comes too late from a timer,
        or is refused to it, is moot: it leaves no trace and may be asked again."""
        attempt, refusal = judged.attempt, refusal_of(judged.refused)
        if attempt.act.by.kind is ActorKind.TIMER and not judged.facts:
            return Answer(refusal=refusal, position=judged.read_up_to)
        recording = judged.recording()
        if refusal is None:
            recorded = self._append(judged, attempt.act.case, judged.stood_at, judged.facts, recording, within)
            return Answer(recorded, position=recording.last)
        recording.refusal = refusal.as_json()
        self._append_refusal(judged, refusal, recording, within)
        return Answer(refusal=refusal, position=recording.last)

    def _append(
        self,
        judged: Judged,
        stream: str,
        after: int,
        facts: Sequence[Fact],
        recording: Recording,
        within: Connection[DictRow] | None = None,
    ) -> tuple[Recorded, ...]:
        envelopes = judged.envelopes(stream, after, facts)
        self.events.put([stored(each) for each in envelopes], recording=recording, within=within)
        return self._recorded(facts, envelopes, recording, within)

    def _recorded(
        self,
        facts: Sequence[Fact],
        envelopes: Sequence[Envelope],
        recording: Recording,
        within: Connection[DictRow] | None = None,
    ) -> tuple[Recorded, ...]:
        recorded = tuple(
            Recorded(envelope, fact, recording.first + nth, recording.recorded_at or envelope.at)
            for nth, (envelope, fact) in enumerate(zip(envelopes, facts, strict=True))
        )
        if within is None and recording.library_changed_at is not None:
            self._learn_what_comes_next(recorded, recording.library_changed_at)
        return recorded

    def _decide_while_holding_the_lock(self, attempt: Attempt) -> Answer:
        """Nobody records meanwhile, so this decision cannot lose."""
        try:
            with self.recorder.holding_the_lock() as conn:
                known = self._read_on(attempt.act.case, attempt, conn)
                answer = Answer() if known else self._write(self._judge(attempt), conn)
        except (InterfaceError, OperationalError):
            # the connection broke, and with it perhaps only the answer to the COMMIT
            known = self._read_on(attempt.act.case, attempt)
            if known is None:
                raise
        if known:
            return self._first_answer(known, attempt)
        self._learn(attempt.act.case, answer.facts)
        return answer

    def _first_answer(self, known: Known, attempt: Attempt) -> Answer:
        if known.content_hash != attempt.content:
            return Answer(refusal=conflict_over(attempt.act.id))
        if known.refusal:
            return Answer(refusal=Refusal.of_json(known.refusal), position=known.last)
        facts = tuple(recorded_from(row) for row in self.recorder.between(known.first, known.last))
        return Answer(facts, position=known.last)

    # -- refused attempts: beside the case, up to a limit in an hour; beyond it they are counted

    def _append_refusal(
        self, judged: Judged, refusal: Refusal, recording: Recording, within: Connection[DictRow] | None
    ) -> None:
        attempt, since = judged.attempt, judged.attempt.act.at - AN_HOUR
        stream = stream_beside(attempt.act.case)
        most = self._most("attempts_recorded_per_person_per_hour", attempt.act.at)
        recent, head = self.recorder.attempts_since(stream, attempt.sender.key, since, everywhere=True, within=within)
        fact = attempt_refused(attempt.act.command.kind, attempt.act.by, refusal)
        # over the limit its id is answered all the same, so that it gets the same answer again
        self._append(judged, stream, head, [fact] if recent < most else [], recording, within)
        if recent >= most:
            self._count(attempt.act.case, attempt.sender.key, 1, within)

    def refuse_unproven(self, case: str, asked: str, because: str, times: int = 1) -> Answer:
        """Attempts whose sender is not proven. They occupy no command id of anyone's."""
        case, refusal = self._known_case(case), unproven_refusal(because)
        judged = self._unjudged(case, UNPROVEN)
        stream, at = stream_beside(case), judged.attempt.act.at
        most = self._most("attempts_recorded_per_case_per_hour", at)
        fact = attempt_refused(asked, UNPROVEN.actor, refusal)
        while True:
            recent, head = self.recorder.attempts_since(stream, UNPROVEN.key, at - AN_HOUR, everywhere=False)
            room, recording = max(0, min(times, most - recent)), judged.recording()
            try:
                if room:
                    self._append(judged, stream, head, [fact] * room, recording)
                break
            except NotRecorded as lost:
                if lost.known:
                    # its own COMMIT, whose answer was lost
                    room, recording.last = lost.known.last - lost.known.first + 1, lost.known.last
                    break
        self._count(case, UNPROVEN.key, times - room)
        return Answer(refusal=refusal, position=recording.last, unproven=True)

    def count_malformed(self, case: str, times: int) -> None:
        """Messages that were none: counted, their content nowhere."""
        self._count(self._known_case(case), "malformed", times)

    def close_tallies(self) -> int:
        """Turn the tallies of hours that are over into events, one each; how many were."""
        over = on_the_hour(self.clock.now())
        if not self.recorder.has_tallies_before(over):
            return 0
        with self.recorder.holding_the_lock() as conn:
            tallies = self.recorder.take_tallies_before(over, conn)
            for tally in tallies:
                stream = stream_beside(tally["case_id"])
                fact = AttemptsSuppressed(by=tally["sender"], since=tally["since"], count=tally["count"])
                _, head = self.recorder.attempts_since(stream, "", over, everywhere=False, within=conn)
                judged = self._unjudged(tally["case_id"], SYSTEM)
                self._append(judged, stream, head, [fact], judged.recording(), conn)
        return len(tallies)

    def _unjudged(self, case: str, sender: Sender) -> Judged:
        """What the system notes by itself: nothing was decided, so nothing was read."""
        attempt = Attempt(self._act(NoCommand(), str(uuid4()), case, sender), sender)
        with self._mutex:
            policy = Library(self._register, attempt.act.at).policy_version()
            return Judged(attempt, policy=policy, read_up_to=self._register.position)

    def _count(self, case: str, sender: str, times: int, within: Connection[DictRow] | None = None) -> None:
        if times:
            self.recorder.tally(case, sender, on_the_hour(self.clock.now()), times, within)

    def _known_case(self, case: str) -> str:
        """Made-up cases share one stream: whoever makes up names by the thousand fills no more than that."""
        is_known = stem_of(case) in PAGES and (stem_of(case) not in CASE_PROCESSES or self.state(case).position > 0)
        return case if is_known else NO_CASE

    def _most(self, setting: str, at: datetime) -> int:
        try:
            with self._mutex:
                return int(getattr(Library(self._register, at).policy.settings, setting).value)
        except Refused:
            return ATTEMPTS_BEFORE_A_POLICY

    def _credential_life(self, now: datetime) -> timedelta:
        try:
            with self._mutex:
                return timedelta(hours=Library(self._register, now).policy.settings.credential_life_hours.value)
        except Refused:
            return CREDENTIAL_LIFE_BEFORE_A_POLICY

    # -- what is held in memory

    def _read_on(
        self, case: str = "", attempt: Attempt | None = None, within: Connection[DictRow] | None = None
    ) -> Known | None:
        """Bring memory up to the log, for the library and this case; the attempt's first answer, if it had one."""
        with self._mutex:
            held = self._cases.get(case)
            after, shared_after = (held.state.position if held else 0), self._register.position
        sender, id_ = (attempt.sender.key, attempt.act.id) if attempt else ("", "")
        began = time.monotonic()
        own, shared, known = self.recorder.read_on(case, after, shared_after, sender, id_, within)
        self._learn(case, [recorded_from(row) for row in own])
        self._learn_of_the_library([recorded_from(row) for row in shared])
        self._looked_at = max(self._looked_at, began)
        return known

    def _has_looked(self, since: float) -> bool:
        # a log that was empty then may have been founded meanwhile
        return self.has_read() and self._looked_at >= since

    def _look(self, since: float, case: str = "") -> bool:
        """Memory then has all of the library that stood in the log at that time of the monotonic clock. Of many who ask
        at once one reads, and the others wait for it. Whether this one has read, the case as well."""
        if self._has_looked(since):
            return False
        # not for longer: while PostgreSQL is away each is told so by itself, and not one after the other
        mine = self._looking.acquire(timeout=WAIT_FOR_ANOTHERS_LOOK_SECONDS)
        try:
            if self._has_looked(since):
                return False
            self._read_on(case)
            return True
        finally:
            if mine:
                self._looking.release()

    def _learn(self, case: str, recorded: Iterable[Recorded]) -> None:
        page = PAGES.get(stem_of(case))
        if page is None:
            return
        with self._mutex:
            held = self._cases.get(case) or InMemory(page.initial(case))
            fresh = contiguous(held.state.position, recorded)
            if not fresh:
                return
            newest = (*held.newest, *fresh)[-FACTS_IN_MEMORY:]
            self._cases[case] = InMemory(page.fold(held.state, fresh), newest)
            self._cases.move_to_end(case)
            while len(self._cases) > CASES_IN_MEMORY:
                self._cases.popitem(last=False)

    def _learn_what_comes_next(self, recorded: Iterable[Recorded], before: int) -> None:
        """What this process has just recorded, where it knows all that was recorded before: it need not be read."""
        with self._mutex:
            if self._register.position == before:
                self._learn_of_the_library([each for each in recorded if each.envelope.touches])

    def _learn_of_the_library(self, shared: list[Recorded]) -> None:
        with self._mutex:
            for each in shared:
                if each.log_position > self._register.position:
                    self._register.evolve(each.envelope, each.fact, each.log_position)


class Attempt(NamedTuple):
    """One command on its way through the ledger."""

    act: Act
    sender: Sender
    content: str = ""
    received: dict[str, Any] | None = None
    workflow: str = ""
    run: str = ""

    @property
    def page(self) -> Page:
        return PAGES[stem_of(self.act.case)]


class Judged(NamedTuple):
    """A judgement that is not recorded yet, with all that it knew: where the judged stream stood, and what of the
    library was read up to which log position."""

    attempt: Attempt
    stream: str = ""
    stood_at: int = 0
    facts: tuple[Fact, ...] = ()
    refused: Refused | None = None
    authority: Authority = Authority()
    policy: str = ""
    reads: tuple[str, ...] = ()
    read_up_to: int = 0

    def recording(self) -> Recording:
        """To be recorded only if all of that still stands so."""
        attempt = self.attempt
        return Recording(
            sender=attempt.sender.key,
            command_id=attempt.act.id,
            content_hash=attempt.content,
            judged=self.stream,
            stood_at=self.stood_at,
            reads=self.reads,
            read_up_to=self.read_up_to,
        )

    def envelopes(self, stream: str, after: int, facts: Sequence[Fact]) -> list[Envelope]:
        return [self._envelope(fact, stream, after + nth, nth) for nth, fact in enumerate(facts, start=1)]

    def _envelope(self, fact: Fact, stream: str, position: int, nth: int) -> Envelope:
        act, authority = self.attempt.act, self.authority
        return Envelope.model_construct(
            v=1,
            event_id=str(uuid5(EVENT_IDS, f"{self.attempt.sender.key}/{act.id}/{stream}/{position}")),
            case=stream,
            position=position,
            at=act.at,
            occurred_at=act.occurred_at or act.at,
            actor=act.by,
            on_behalf_of=authority.on_behalf_of,
            role=authority.role,
            place=authority.place,
            proven_by=act.proven_by,
            channel=act.channel,
            command_id=act.id,
            cause=act.cause,
            correlation=act.correlation,
            policy=self.policy,
            read_up_to=self.read_up_to,
            clauses=fact.cites(),
            claims=fact.claims(),
            releases=fact.releases(),
            touches=touched(fact),
            workflow=self.attempt.workflow,
            run=self.attempt.run,
            kind=fact.kind,
            fact=fact.model_dump(mode="json"),
            command=self.attempt.received if nth == 1 else None,
        )


class OnItsWay(NamedTuple):
    """A judgement as it goes to the log."""

    judged: Judged
    envelopes: Sequence[Envelope]
    recording: Recording
    asked: ToRecord


class NoCommand(Command):
    """Stands where nobody asked for anything, or what arrived is no one's command. It has no name to be sent by."""


SYSTEM = Sender(Actor(kind=ActorKind.TIMER, id="system"), "the system itself", Channel.SYSTEM, None)
TIMER = Sender(Actor(kind=ActorKind.TIMER, id="timer"), "the system itself", Channel.TIMER, None)
UNPROVEN = Sender(Actor(kind=ActorKind.UNPROVEN, id="unproven"), "nothing", Channel.SIGNAL, None)


def operator(name: str) -> Sender:
    """Whoever can read DATA and run the system: founds it, imports staff."""
    return Sender(Actor(kind=ActorKind.OPERATOR, id=name), "access to the installation", Channel.CLI, None)


def lately() -> float:
    return time.monotonic() - LATELY_SECONDS


def a_case_of_some_process(case: str) -> None:
    """A process has either many cases or one stream for the whole library, and never both."""
    stem = stem_of(case)
    if stem not in PAGES:
        raise Malformed("case", "no process has this stem", f"one of {', '.join(PAGES)}")
    if (stem in CASE_PROCESSES) is (case == stem):
        would_pass = f"{stem}-UUID" if stem in CASE_PROCESSES else stem
        raise Malformed("case", f"{stem} has no such case", would_pass)


def attempt_refused(asked: str, by: Actor, refusal: Refusal) -> AttemptRefused:
    return AttemptRefused(
        asked=asked, by=by, refused_by=refusal.clauses, because=refusal.because, remedy=refusal.remedy
    )


def touched(fact: Fact) -> tuple[str, ...]:
    return (*fact.touches(), *(f"claim:{key}" for key in (*fact.claims(), *fact.releases())))


def columns_of(envelope: Envelope) -> dict[str, Any]:
    """The copies for searching as the database makes them; verification compares them with the stored bytes."""
    return {
        "event_id": envelope.event_id,
        "at": envelope.at.isoformat(),
        "occurred_at": envelope.occurred_at.isoformat(),
        "actor": f"{envelope.actor.kind.value}:{envelope.actor.id}",
        "on_behalf_of": envelope.on_behalf_of,
        "role": envelope.role,
        "place": envelope.place,
        "channel": envelope.channel.value,
        "command_id": envelope.command_id,
        "cause": envelope.cause,
        "correlation": envelope.correlation,
        "policy": envelope.policy,
        "read_up_to": envelope.read_up_to,
        "clauses": list(envelope.clauses),
        "shared": bool(envelope.touches),
    }


def stored(envelope: Envelope) -> StoredFact:
    return StoredFact(envelope.case, envelope.position, envelope)


def recorded_from(row: Row) -> Recorded:
    envelope = Envelope.model_validate_json(row.state)
    return Recorded(envelope, envelope.opened(), row.log_position, row.recorded_at)


def contiguous(position: int, recorded: Iterable[Recorded]) -> list[Recorded]:
    """Those that come next, or none of them where there is a gap: memory never skips a fact."""
    fresh = [each for each in recorded if each.envelope.position > position]
    return fresh if fresh and fresh[0].envelope.position == position + 1 else []


def on_the_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def decided(
    page: Page, act: Act, state: State, library: Library
) -> tuple[tuple[Fact, ...], Authority, Refused | None]:
    """What the policy says to it, and in which capacity it was asked: where a decision is made, and judged again."""
    try:
        (facts, authority), refused = page.decide(act, state, library), None
    except Refused as error:
        facts, authority, refused = (), None, error
    if authority is None and act.person and library.in_force():
        authority = library.standing(act.person)
    return facts, authority or Authority(), refused


def refusal_of(refused: Refused | None) -> Refusal | None:
    if refused is None:
        return None
    return Refusal(refused.clauses, refused.because, refused.remedy, isinstance(refused, NoAuthority))


def unproven_refusal(because: str) -> Refusal:
    remedy = "a credential that a door of this system signs for exactly this command"
    return Refusal(("PR-1",), because, remedy, lacks_authority=True)


def conflict_over(id_: str) -> Refusal:
    return Refusal(("PR-1",), f"the command id {id_} was used for other content", "a new command id for a new command")


def postgres_env(url: str, pool_size: int) -> dict[str, str]:
    """Given to the library outright: left to the class, the environment of the process could say otherwise."""
    parts = urlsplit(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "APPLICATION_RECORDER_TOPIC": "services.recorder:LedgerRecorder",
        "ORIGINATOR_ID_TYPE": "text",
        "CREATE_TABLE": "n",
        "POSTGRES_SCHEMA": "ledger",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "n",
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": unquote(parts.username or ""),
        "POSTGRES_PASSWORD": unquote(parts.password or ""),
        # with ten attempts for each question this stays below what one attempt of an activity may last
        "POSTGRES_CONNECT_TIMEOUT": "1",
        "POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT": "10",
        "POSTGRES_POOL_SIZE": str(pool_size),
        "POSTGRES_MAX_OVERFLOW": str(pool_size),
    }
