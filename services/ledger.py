"""The one door: decides a command by the policy and records what follows, once, whatever is killed meanwhile.

An eventsourcing application whose events are envelopes around facts. It decides on what it has in memory and makes the
record conditional on that still being so; when something moved it reads on and decides again, and after three losses it
decides while it holds the lock. A command id that was answered before gets its first answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent
from psycopg import Connection
from psycopg.rows import DictRow

from domain.attempts import AttemptRefused, AttemptsSuppressed, stream_beside
from domain.facts import (
    Act,
    Actor,
    ActorKind,
    Channel,
    Command,
    Decision,
    Envelope,
    Fact,
    Malformed,
    Page,
    Recorded,
    Refused,
    State,
    content_hash,
)
from domain.hr_feed import HrRegister
from domain.library import Library, Register
from domain.pages import CASE_PROCESSES, PAGES
from services.clock import Clock
from services.credentials import Proven, Unproven, Verifier
from services.recorder import Known, LedgerRecorder, NotRecorded, Recording, Row
from services.submissions import Submission

LOSSES_BEFORE_LOCKING = 3
CASES_IN_MEMORY = 10_000
EVENT_IDS = UUID("6c7f4c1e-7c2e-5b52-9a63-0d9f6f0f8a11")
UNKNOWN_CASE = "unknown-case"
AN_HOUR = timedelta(hours=1)
# until a policy is in force there is nothing else to go by
CREDENTIAL_LIFE_BEFORE_A_POLICY = timedelta(hours=72)
ATTEMPTS_BEFORE_A_POLICY = 20


class Refusal(NamedTuple):
    clauses: tuple[str, ...]
    because: str
    remedy: str

    def as_json(self) -> dict[str, Any]:
        return {"clauses": list(self.clauses), "because": self.because, "remedy": self.remedy}


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
        return StoredEvent(
            domain_event.originator_id, domain_event.originator_version, envelope.kind, envelope.model_dump_json().encode()
        )

    def to_domain_event(self, stored_event: StoredEvent) -> StoredFact:  # type: ignore[override]  # the only kind here
        envelope = Envelope.model_validate_json(stored_event.state)
        return StoredFact(str(stored_event.originator_id), stored_event.originator_version, envelope)


@dataclass
class InMemory:
    state: State
    recorded: list[Recorded] = field(default_factory=list)


class Sender(NamedTuple):
    """Who occupies a command id."""

    actor: Actor
    method: str
    channel: Channel
    signed_at: datetime | None

    @property
    def key(self) -> str:
        return f"{self.actor.kind.value}:{self.actor.id}"


class Ledger(Application[str]):
    name = "Ledger"
    env: ClassVar[dict[str, str]] = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "APPLICATION_RECORDER_TOPIC": "services.recorder:LedgerRecorder",
        "ORIGINATOR_ID_TYPE": "text",
        "POSTGRES_SCHEMA": "ledger",
        "CREATE_TABLE": "n",
        "POSTGRES_CONNECT_TIMEOUT": "2",
    }

    recorder: LedgerRecorder

    def __init__(self, url: str, clock: Clock, verifier: Verifier | None = None, pool_size: int = 10) -> None:
        super().__init__(env=postgres_env(url, pool_size))
        self.clock = clock
        self._verifier = verifier
        self._mutex = RLock()
        self._register = Register()
        self._cases: OrderedDict[str, InMemory] = OrderedDict()

    def construct_mapper(self) -> Mapper[str]:
        return EnvelopeMapper(self.construct_transcoder())

    # -- the doors of the door

    def submit(self, submission: Submission, workflow: str = "", run: str = "", cause: str = "") -> Answer:
        """Decide a person's command. Raises Malformed, of which nothing is recorded, and Unproven, which whoever
        received it hands to `refuse_unproven`."""
        command = submission.command()
        page = PAGES.get(submission.process)
        if page is None:
            raise Malformed("case", "no process has this stem", f"one of {', '.join(PAGES)}")
        proven = self.proven(submission)
        sender = Sender(proven.actor, proven.method, proven.channel, proven.signed_at)
        act = self._act(command, submission.id, submission.case, sender, cause)
        received = submission.model_dump(mode="json")
        return self._answer(act, page, sender, submission.content, received, workflow, run)

    def submit_own(self, command: Command, case: str, sender: Sender, command_id: str, workflow: str = "", run: str = "") -> Answer:
        """Decide a command of the system itself: a timer, the founding operator, an HR feed that was read here."""
        fields = command.model_dump(mode="json")
        received = {"kind": command.kind, "id": command_id, "case": case, "fields": fields, "credential": ""}
        content = content_hash({"kind": command.kind, "case": case, "fields": fields})
        act = self._act(command, command_id, case, sender, "")
        return self._answer(act, PAGES[case.partition("-")[0]], sender, content, received, workflow, run)

    def rehearse(self, command: Command, case: str, sender: Sender) -> tuple[Fact, ...]:
        """What would follow, without recording it. Refused as it would be."""
        self.read_on(case)
        with self._mutex:
            act = self._act(command, "rehearsal", case, sender, "")
            page = PAGES[case.partition("-")[0]]
            return page.decide(act, self._state(page, case), Library(self._register, act.at)).facts

    def proven(self, submission: Submission) -> Proven:
        return self.verifier().proves(submission, self.clock.now(), self._credential_life())

    def verifier(self) -> Verifier:
        if self._verifier is None:
            raise Unproven("this system has no door key yet")
        return self._verifier

    # -- what anyone may ask of the ledger

    def library(self, version: str = "") -> Library:
        """The library as of now, read on to the newest event."""
        self._read_on("", None, "", "")
        return Library(self._register, self.clock.now(), version)

    def hr(self) -> HrRegister:
        """What HR's systems have said, read on to the newest event: asked at each of their requests, so one query."""
        self._learn_of_the_library([recorded_from(row) for row in self.recorder.shared_after(self._register.position)])
        return self._register.hr

    def library_position(self) -> int:
        """The log position of the newest event that changed what decisions know of the library."""
        self._read_on("", None, "", "")
        with self._mutex:
            return self._register.outside_position

    def read_on(self, case: str) -> tuple[State, list[Recorded]]:
        """The case as it stands in the log now, and its facts."""
        page = PAGES.get(case.partition("-")[0])
        self._read_on(case, page, "", "")
        with self._mutex:
            held = self._cases.get(case)
            if held is None:
                return (page.initial(case) if page else State(case=case)), []
            return held.state, list(held.recorded)

    def facts_after(self, case: str, position: int) -> list[Recorded]:
        """Every fact of the case after a stream position, its own and others'."""
        with self._mutex:
            held = self._cases.get(case)
            if held is not None and held.state.position >= position:
                return [each for each in held.recorded if each.envelope.position > position]
        return [recorded_from(row) for row in self.recorder.stream_after(case, position)]

    # -- deciding

    def _act(self, command: Command, id_: str, case: str, sender: Sender, cause: str) -> Act:
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

    def _answer(
        self, act: Act, page: Page, sender: Sender, content: str, received: dict[str, Any], workflow: str, run: str
    ) -> Answer:
        attempt = Attempt(act, page, sender, content, received, workflow, run)
        read = False
        for _ in range(LOSSES_BEFORE_LOCKING):
            if read and (known := self._read_on(act.case, page, sender.key, act.id)):
                return self._first_answer(known, content)
            try:
                judged = self._judge(attempt)
                if not read and not judged.decision.facts:
                    read = True
                    continue
                return self._write(judged)
            except Refused as refused:
                # what stands against it may be out of date, or it may be its own success: look before refusing
                if read:
                    return self._refuse(attempt, refused)
                read = True
            except NotRecorded as lost:
                if lost.known:
                    return self._first_answer(lost.known, content)
                if lost.outcome == "conflict":
                    return conflicting(act.id)
                read = True
        return self._decide_while_holding_the_lock(attempt)

    def _judge(self, attempt: Attempt) -> Judged:
        with self._mutex:
            state = self._state(attempt.page, attempt.act.case)
            library = Library(self._register, attempt.act.at, state.policy)
            decision = attempt.page.decide(attempt.act, state, library)
            return Judged(attempt, state, decision, library, self._register.position)

    def _write(self, judged: Judged, within: Connection[DictRow] | None = None) -> Answer:
        if not judged.decision.facts:
            return Answer(position=self._register.position)
        envelopes = judged.envelopes()
        recording = judged.recording(envelopes)
        events = [StoredFact(envelope.case, envelope.position, envelope) for envelope in envelopes]
        recordings = self.save(*events, recording=recording, within=within)
        recorded = tuple(
            Recorded(event.envelope, fact, made.notification.id, recording.recorded_at or judged.attempt.act.at)
            for event, fact, made in zip(events, judged.decision.facts, recordings, strict=True)
        )
        if within is None:
            self._learn(judged.attempt.act.case, judged.attempt.page, recorded)
        return Answer(recorded, position=recorded[-1].log_position)

    def _decide_while_holding_the_lock(self, attempt: Attempt) -> Answer:
        """Nobody records meanwhile, so this decision cannot lose. A refusal is recorded after the lock is let go."""
        try:
            with self._mutex, self.recorder.holding_the_lock() as conn:
                case, sender = attempt.act.case, attempt.sender.key
                if known := self._read_on(case, attempt.page, sender, attempt.act.id, conn):
                    return self._first_answer(known, attempt.content)
                answer = self._write(self._judge(attempt), conn)
        except Refused as refused:
            return self._refuse(attempt, refused)
        self._learn(attempt.act.case, attempt.page, answer.facts)
        return answer

    def _first_answer(self, known: Known, content: str) -> Answer:
        if known.content_hash != content:
            return conflicting("")
        if known.refusal:
            refusal = Refusal(tuple(known.refusal["clauses"]), known.refusal["because"], known.refusal["remedy"])
            return Answer(refusal=refusal, position=known.last)
        facts = tuple(recorded_from(row) for row in self.recorder.between(known.first, known.last))
        return Answer(facts, position=known.last)

    # -- refused attempts

    def _refuse(self, attempt: Attempt, refused: Refused) -> Answer:
        refusal = Refusal(refused.clauses, refused.because, refused.remedy)
        if attempt.act.by.kind is ActorKind.TIMER:
            return Answer(refusal=refusal)
        fact = AttemptRefused(
            asked=attempt.act.command.kind,
            by=attempt.act.by,
            refused_by=refused.clauses,
            because=refused.because,
            remedy=refused.remedy,
        )
        most = self._most("attempts_recorded_per_person_per_hour")
        position = self._note(fact, attempt, most, refusal.as_json())
        return Answer(refusal=refusal, position=position)

    def refuse_unproven(self, case: str, asked: str, because: str, times: int = 1) -> Answer:
        """Attempts whose sender is not proven: recorded beside the case up to a limit, then only counted."""
        refusal = unproven_refusal(because)
        case = case if case.partition("-")[0] in CASE_PROCESSES and "-" in case else UNKNOWN_CASE
        by = Actor(kind=ActorKind.UNPROVEN, id="unproven")
        fact = AttemptRefused(
            asked=asked, by=by, refused_by=refusal.clauses, because=refusal.because, remedy=refusal.remedy
        )
        sender = Sender(by, "nothing", Channel.SIGNAL, None)
        act = self._act(NO_COMMAND, "", case, sender, "")
        attempt = Attempt(act, ATTEMPTS, sender, "", None, "", "")
        position, most = 0, self._most("attempts_recorded_per_case_per_hour")
        for nth in range(times):
            position = self._note(fact, attempt, most, None)
            if not position:
                self._count(case, "unproven", times - nth - 1)
                break
        return Answer(refusal=refusal, position=position, unproven=True)

    def count_malformed(self, case: str, times: int) -> None:
        """Messages that were none: counted, their content nowhere."""
        self._count(case if case.partition("-")[0] in CASE_PROCESSES else UNKNOWN_CASE, "malformed", times)

    def _note(self, fact: AttemptRefused, attempt: Attempt, most: int, refusal: dict[str, Any] | None) -> int:
        """The log position of the refused attempt, or 0 where it is over the limit and only counted."""
        stream = stream_beside(attempt.act.case)
        while True:
            since = attempt.act.at - AN_HOUR
            recent, last = self.recorder.attempts_since(stream, attempt.sender.key, since)
            if recent >= most:
                self._count(attempt.act.case, attempt.sender.key, 1)
                return 0
            with self._mutex:
                library = Library(self._register, attempt.act.at)
                judged = Judged(attempt, State(case=stream, position=last), Decision((fact,)), library, self._register.position)
                envelopes = judged.envelopes(stream)
            recording = judged.recording(envelopes)
            recording.reads, recording.refusal = [], refusal
            try:
                stored = [StoredFact(envelope.case, envelope.position, envelope) for envelope in envelopes]
                return self.save(*stored, recording=recording, within=None)[-1].notification.id
            except NotRecorded as lost:
                if lost.outcome in ("known", "conflict"):
                    return lost.known.last if lost.known else 0

    def _count(self, case: str, sender: str, times: int) -> None:
        if times:
            hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
            self.recorder.tally(case, sender, hour, times)

    def close_tallies(self) -> int:
        """Turn the tallies of hours that are over into events, one each; how many were."""
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
        tallies = self.recorder.tallies_before(hour)
        for tally in tallies:
            case, sender, since = tally["case_id"], tally["sender"], tally["since"]
            self._note_suppressed(case, AttemptsSuppressed(by=sender, since=since, count=tally["count"]))
            self.recorder.forget_tally(case, sender, since)
        return len(tallies)

    def _note_suppressed(self, case: str, fact: AttemptsSuppressed) -> None:
        stream = stream_beside(case)
        id_ = str(uuid5(EVENT_IDS, f"{stream}/{fact.by}/{fact.since.isoformat()}"))
        attempt = Attempt(self._act(NO_COMMAND, id_, case, SYSTEM, ""), ATTEMPTS, SYSTEM, content_hash(id_), None, "", "")
        while True:
            _, last = self.recorder.attempts_since(stream, "", self.clock.now())
            with self._mutex:
                library = Library(self._register, attempt.act.at)
                judged = Judged(attempt, State(case=stream, position=last), Decision((fact,)), library, self._register.position)
                envelopes = judged.envelopes(stream)
            recording = judged.recording(envelopes)
            recording.reads = []
            try:
                self.save(*[StoredFact(e.case, e.position, e) for e in envelopes], recording=recording, within=None)
                return
            except NotRecorded as lost:
                if lost.outcome in ("known", "conflict"):
                    return

    # -- what is held in memory

    def _state(self, page: Page, case: str) -> State:
        held = self._cases.get(case)
        return held.state if held else page.initial(case)

    def _read_on(
        self, case: str, page: Page | None, sender: str, id_: str, within: Connection[DictRow] | None = None
    ) -> Known | None:
        with self._mutex:
            held = self._cases.get(case)
            after, shared_after = (held.state.position if held else 0), self._register.position
        own, shared, known = self.recorder.read_on(case, after, shared_after, sender, id_, within)
        if page is not None and case:
            self._learn(case, page, [recorded_from(row) for row in own])
        self._learn_of_the_library([recorded_from(row) for row in shared])
        return known

    def _learn(self, case: str, page: Page, recorded: Iterable[Recorded]) -> None:
        with self._mutex:
            held = self._cases.get(case) or InMemory(page.initial(case))
            fresh = contiguous(held.state.position, recorded)
            if fresh is None:
                return
            held = InMemory(page.fold(held.state, fresh), [*held.recorded, *fresh])
            self._cases[case] = held
            self._cases.move_to_end(case)
            while len(self._cases) > CASES_IN_MEMORY:
                self._cases.popitem(last=False)

    def _learn_of_the_library(self, shared: list[Recorded]) -> None:
        with self._mutex:
            for each in shared:
                if each.log_position > self._register.position:
                    self._register.evolve(each.envelope, each.fact, each.log_position)

    def _credential_life(self) -> timedelta:
        try:
            with self._mutex:
                hours = Library(self._register, self.clock.now()).policy.settings.credential_life_hours.value
        except Refused:
            return CREDENTIAL_LIFE_BEFORE_A_POLICY
        return timedelta(hours=hours)

    def _most(self, setting: str) -> int:
        try:
            with self._mutex:
                settings = Library(self._register, self.clock.now()).policy.settings
        except Refused:
            return ATTEMPTS_BEFORE_A_POLICY
        return int(getattr(settings, setting).value)


class Attempt(NamedTuple):
    """One command on its way through the ledger."""

    act: Act
    page: Page
    sender: Sender
    content: str
    received: dict[str, Any] | None
    workflow: str
    run: str


class Judged(NamedTuple):
    """A decision that is not recorded yet, with all that it knew."""

    attempt: Attempt
    state: State
    decision: Decision
    library: Library
    read_up_to: int

    def envelopes(self, stream: str = "") -> list[Envelope]:
        act, authority = self.attempt.act, self.decision.authority
        if authority is None:
            authority = self.library.standing(act.person) if act.person and self.library.in_force() else None
        policy = self.library.policy_version()
        return [
            Envelope.model_construct(
                v=1,
                event_id=self._event_id(nth, stream or act.case),
                case=stream or act.case,
                position=self.state.position + nth,
                at=act.at,
                occurred_at=act.occurred_at or act.at,
                actor=act.by,
                on_behalf_of=authority.on_behalf_of if authority else "",
                role=authority.role if authority else "",
                place=authority.place if authority else "",
                proven_by=act.proven_by,
                channel=act.channel,
                command_id=act.id,
                cause=act.cause,
                correlation=act.correlation,
                policy=policy,
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
            for nth, fact in enumerate(self.decision.facts, start=1)
        ]

    def _event_id(self, nth: int, stream: str) -> str:
        return str(uuid5(EVENT_IDS, f"{self.attempt.sender.key}/{self.attempt.act.id}/{stream}/{self.state.position + nth}"))

    def recording(self, envelopes: list[Envelope]) -> Recording:
        return Recording(
            sender=self.attempt.sender.key,
            command_id=self.attempt.act.id,
            content_hash=self.attempt.content,
            reads=sorted(self.library.read),
            read_up_to=self.read_up_to,
            columns=[columns_of(envelope) for envelope in envelopes],
            claims=[(key, envelope.case) for envelope in envelopes for key in envelope.claims],
            releases=[key for envelope in envelopes for key in envelope.releases],
            touches=sorted({scope for envelope in envelopes for scope in envelope.touches}),
        )


class NoCommand(Command, kind="attempts.NoCommand"):
    """Stands where something arrived that was no command."""


NO_COMMAND = NoCommand()
ATTEMPTS = Page("attempts", State, lambda act, state, library: Decision(()), lambda state, fact: state)
SYSTEM = Sender(Actor(kind=ActorKind.TIMER, id="system"), "the system itself", Channel.SYSTEM, None)
TIMER = Sender(Actor(kind=ActorKind.TIMER, id="timer"), "the system itself", Channel.TIMER, None)


def operator(name: str) -> Sender:
    """Whoever can read DATA and run the system: founds it, imports staff."""
    return Sender(Actor(kind=ActorKind.OPERATOR, id=name), "access to the installation", Channel.CLI, None)


def touched(fact: Fact) -> tuple[str, ...]:
    return (*fact.touches(), *(f"claim:{key}" for key in (*fact.claims(), *fact.releases())))


def columns_of(envelope: Envelope) -> dict[str, Any]:
    """Copies of the envelope for searching; verification compares them with the stored bytes."""
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


def recorded_from(row: Row) -> Recorded:
    envelope = Envelope.model_validate_json(row.state)
    return Recorded(envelope, envelope.opened(), row.log_position, row.recorded_at)


def contiguous(position: int, recorded: Iterable[Recorded]) -> list[Recorded] | None:
    """Those that come next, or None where there is a gap or nothing new: memory never skips a fact."""
    fresh = [each for each in recorded if each.envelope.position > position]
    if not fresh or fresh[0].envelope.position != position + 1:
        return None
    return fresh


def unproven_refusal(because: str) -> Refusal:
    return Refusal(("PR-1",), because, "a credential that a door of this system signs for exactly this command")


def conflicting(id_: str) -> Answer:
    refusal = Refusal(
        ("PR-1",), f"the command id {id_} was used for other content".replace("  ", " "), "a new command id for a new command"
    )
    return Answer(refusal=refusal)


def postgres_env(url: str, pool_size: int) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": unquote(parts.username or ""),
        "POSTGRES_PASSWORD": unquote(parts.password or ""),
        "POSTGRES_POOL_SIZE": str(pool_size),
        "POSTGRES_MAX_OVERFLOW": str(pool_size),
    }
