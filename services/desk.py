"""The desk behind every door: command line and HTTP API ask the same of it and are told the same.

It authenticates nobody and decides nothing: a door says who is there and how that was proven; the desk seals, signs,
sends through Temporal and tells what the ledger answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple, ParamSpec, TypeVar
from uuid import UUID, uuid4, uuid5

from temporalio.client import Client
from temporalio.service import RPCError

from domain.account_creation import BEING_MADE, AccountCase
from domain.account_creation_rules import open_conditions, open_tasks
from domain.facts import (
    KINDS,
    Actor,
    ActorKind,
    Channel,
    Command,
    Evidence,
    Malformed,
    NoAuthority,
    Recorded,
    State,
    stem_of,
)
from domain.library import Library
from domain.openings import Purpose
from domain.pages import CASE_PROCESSES, PAGES
from domain.policy import Policy
from services.audit.as_of import effective_by, fields_of
from services.audit.readings import note_reading
from services.clock import Clock, SystemClock
from services.credentials import DoorKey, Proven, Unproven
from services.door import door_key, key_encryption_key
from services.evidence import EvidenceStore, known_media_type
from services.explaining import explained
from services.forms import command_kind, filled_in, patron_keys, still_sealed
from services.founding import operator_name
from services.hr.office import Terms, take_file
from services.ledger import Ledger, Sender, operator
from services.openings import opened_for
from services.patron_forms import note_patrons, numbered
from services.patrons import PatronIndex
from services.recorder import DATABASE_AWAY
from services.seal import KeyStore, Seal
from services.sending import Sending, Unreachable
from services.settings import Settings
from services.staff import orphans, preview
from services.submissions import Submission, parse_submission
from services.views import Views
from services.worker import connected

__all__ = ["Caller", "Desk", "NoSuchCase", "Unreachable", "command_id", "may_read_texts", "reader_of"]

P = ParamSpec("P")
T = TypeVar("T")
NOTHING_SEEN = "0" * 64
CASE_IDS = UUID("3d5f2f0a-95b5-5d0c-9c5e-2d2b7ef1b6c4")
SEEN_WITHIN_SECONDS = 3.0


class Caller(NamedTuple):
    """Who is at the door, how the door knows, and which door it is."""

    person: str
    method: str
    channel: Channel
    kind: ActorKind = ActorKind.PERSON


class NoSuchCase(Malformed):
    """A case that was never opened, or not yet at the time asked for."""


class Desk:
    def __init__(self, settings: Settings, clock: Clock | None = None, client: Client | None = None) -> None:
        self.settings, self.clock = settings, clock or SystemClock()
        self._client = client

    @cached_property
    def door(self) -> DoorKey:
        return door_key(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.recorder_url, self.clock, self.door.verifier(), pool_size=4)

    @cached_property
    def keys(self) -> KeyStore:
        return KeyStore(self.settings.keeper_url, key_encryption_key(self.settings))

    @cached_property
    def seal(self) -> Seal:
        return Seal(self.keys)

    @cached_property
    def evidence(self) -> EvidenceStore:
        return EvidenceStore(self.settings.data / "evidence", self.ledger.recorder, self.seal)

    @cached_property
    def patrons(self) -> PatronIndex:
        return PatronIndex(self.keys)

    @cached_property
    def views(self) -> Views:
        return Views(self.settings.reader_url)

    @cached_property
    def _sending(self) -> Sending:
        return Sending(self.settings, self.client, self.ledger)

    async def client(self) -> Client:
        if self._client is None:
            try:
                self._client = await connected(self.settings)
            except (RPCError, RuntimeError, OSError) as error:
                raise Unreachable(f"Temporal at {self.settings.temporal_address}") from error
        return self._client

    def close(self) -> None:
        for name in ("ledger", "keys", "views"):
            if name in self.__dict__:
                self.__dict__[name].close()

    # -- commands

    async def request(
        self,
        process: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Start a case. The same command id is the same case: `case` is in the answer. Its texts are sealed for the
        patrons whom it `concerns` too."""
        if process not in CASE_PROCESSES:
            raise Malformed("process", f"no process is named {process}", f"one of {', '.join(CASE_PROCESSES)}")
        id_ = command_id(id_, caller)
        case = f"{process}-{uuid5(CASE_IDS, f'{caller.person}/{id_}')}"
        (opening,) = PAGES[process].opens_with
        submission = await self._prepared(case, opening.kind, fields, caller, id_, concerns)
        actor = Actor(kind=caller.kind, id=caller.person)
        sender = Sender(actor, caller.method, caller.channel, self.clock.now())
        answer = await self._sending.opening(submission, sender)
        return {"case": case, "command": id_, **answer}

    async def act(
        self,
        case: str,
        command: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        """A decision or step, answered when it is recorded or refused."""
        id_ = command_id(id_, caller)
        process = stem_of(case)
        if process not in PAGES:
            raise Malformed("case", f"no process has the stem {process!r}", f"one of {', '.join(PAGES)}")
        submission = await self._prepared(case, command_kind(process, command), fields, caller, id_, concerns)
        answer = await self._sending.step(submission)
        return {"case": case, "command": id_, **answer}

    async def sign(
        self,
        case: str,
        command: str,
        fields: dict[str, Any],
        caller: Caller,
        id_: str | None = None,
        concerns: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The payload that a plain Temporal signal or update must carry to do this."""
        process = stem_of(case)
        kind, id_ = command_kind(process, command), command_id(id_, caller)
        submission = await self._prepared(case, kind, fields, caller, id_, concerns)
        return submission.model_dump(mode="json")

    async def _prepared(
        self, case: str, kind: str, fields: dict[str, Any], caller: Caller, id_: str, concerns: Sequence[str]
    ) -> Submission:
        try:
            return await asyncio.to_thread(self._prepare, case, kind, fields, caller, id_, concerns)
        except DATABASE_AWAY as error:
            raise Unreachable("PostgreSQL", id_) from error

    def _prepare(
        self, case: str, kind: str, fields: dict[str, Any], caller: Caller, id_: str, concerns: Sequence[str]
    ) -> Submission:
        state = self._as_it_stands(case, kind)
        rules, concerns = self.ledger.rules(), (*concerns, *concerned(state))
        fields = numbered(kind, fields, id_, rules)
        filled = filled_in(kind, fields, case, id_, self.seal, rules.settings.reason_max_chars.value, concerns)
        given, fields = fields, with_content_seen(state, kind, filled)
        plain = parse_submission({"kind": kind, "id": id_, "case": case, "fields": fields})
        self._evidence_is_kept(plain.command)  # malformed here is told at the door and goes no further
        # before it is on record, so that a patron who is on record is found; swept where nothing comes of it
        note_patrons(kind, given, self.patrons)
        actor = Actor(kind=caller.kind, id=caller.person)
        return self.door.prove(plain, actor, caller.method, caller.channel, self.clock.now())

    def _as_it_stands(self, case: str, kind: str) -> State:
        page = PAGES.get(stem_of(case))
        if page and KINDS[kind] in page.opens_with:
            # there is nothing to see yet; sent again, it is to become the same command
            return page.initial(case)
        return self.ledger.seen(case)

    def _evidence_is_kept(self, command: Command) -> None:
        for named in getattr(command, "evidence", ()):
            known_media_type(named.media_type)
            if not self.evidence.holds(named):
                raise Malformed(
                    "evidence", "no such file is kept for this case", "what `imprimatur evidence add` printed"
                )

    # -- what people look at

    async def case(
        self,
        case: str,
        reader: Caller | None,
        at: datetime | None = None,
        in_force_at: datetime | None = None,
        purpose: Purpose = Purpose.CASE_WORK,
    ) -> dict[str, Any]:
        """One case: stage, facts, who is waited for, until when; as it stands, as it stood on record at `at`, and of
        that what had been done by `in_force_at`. Each field with the event that set it. `reader` None is the operator,
        who holds the keys anyway. Whoever is shown its texts is on record."""
        return await self._in_thread(self._case, case, reader, at, in_force_at, purpose)

    def _case(
        self,
        case: str,
        reader: Caller | None,
        at: datetime | None,
        in_force_at: datetime | None,
        purpose: Purpose,
    ) -> dict[str, Any]:
        page = PAGES.get(stem_of(case))
        if page is None:
            raise NoSuchCase("case", f"there is no case {case}", "an id that `case list` shows")
        state, recorded = self.ledger.read_on(case)
        if at is not None:
            recorded = [each for each in recorded if each.recorded_at <= at]
        if in_force_at is not None:
            recorded = effective_by(recorded, in_force_at)
        if not recorded:
            then = " at that time" if at or in_force_at else ""
            raise NoSuchCase("case", f"there is no case {case}{then}", "an id that `case list` shows")
        state = page.fold(page.initial(case), recorded)
        if reader is None or may_read_texts(reader.person, state, self.ledger.library()):
            by = reader_of(reader)
            note_reading(self.ledger, case, recorded, by)
            facts = opened_for(self.ledger, self.seal, case, recorded, by, purpose)
        else:
            facts = [still_sealed(each.envelope.fact) for each in recorded]
        shown = as_shown(state, [self._shown(each, fact) for each, fact in zip(recorded, facts, strict=True)])
        fields = still_sealed(fields_of(case, recorded))
        return shown | {"fields": fields, "set_up": set_up_of(state, self.ledger.library(state.policy))}

    def _shown(self, recorded: Recorded, fact: dict[str, Any]) -> dict[str, Any]:
        shown = recorded.envelope.model_dump(mode="json", exclude={"command", "fact"})
        return shown | {
            "fact": fact,
            "log_position": recorded.log_position,
            "recorded_at": recorded.recorded_at.isoformat(),
        }

    async def explain_posting(self, person: str, account: str, at: datetime | None = None) -> dict[str, Any]:
        """May they post, now or then, and which events and clauses make it so."""
        return await self._in_thread(explained, self.ledger.recorder, person, account, self.clock.now(), at)

    async def cases(self) -> list[dict[str, Any]]:
        return await self._in_thread(self.views.cases)

    async def inbox(self, person: str) -> list[dict[str, Any]]:
        await self.staff(person)  # nobody of the directory is told so, and not that nothing waits
        return await self._in_thread(self.views.inbox, person)

    async def trail(self, **asked: Any) -> list[dict[str, Any]]:
        return await self._in_thread(self.views.trail, asked)

    async def accounts(self) -> list[dict[str, Any]]:
        return await self._in_thread(self.views.accounts, self.clock.now())

    async def standing(self) -> dict[str, Any]:
        """How far the log and each projection are; raises Unreachable where a service is away."""
        await self.client()
        return await self._in_thread(self._standing)

    def _standing(self) -> dict[str, Any]:
        position = self.ledger.recorder.max_notification_id() or 0
        return {"log_position": position, "projections": self.views.positions(), "stopped": self.views.stopped()}

    async def notices(self) -> list[dict[str, Any]]:
        return await self._in_thread(self.views.outbox)

    async def policy(self) -> Policy:
        return await self._in_thread(lambda: self.ledger.library().policy)

    async def import_staff(self, raw: bytes, terms: Terms) -> dict[str, Any]:
        """Feed the directory with a whole file. Broken rows are named; with any of them nothing is applied, unless
        they may wait in the quarantine."""
        return await self.of_the_ledger(lambda ledger: take_file(ledger, raw, terms))

    async def of_the_ledger(self, question: Callable[[Ledger], T]) -> T:
        return await self._in_thread(lambda: question(self.ledger))

    async def verify(self) -> dict[str, Any]:
        # here and not above: few commands look at proofs, and each would wait for what that takes to load
        from services.audit.installation import verify_installation

        return await self._in_thread(verify_installation, self.settings)

    async def replay(self) -> dict[str, Any]:
        """What four witnesses say of the log; see `services.audit.replay`."""
        from services.audit.replay import replayed

        client, evidence = await self.client(), await self._in_thread(lambda: self.evidence)
        urls = self.settings.reader_url, self.settings.projector_url
        try:
            return await replayed(*urls, client, evidence)
        except DATABASE_AWAY as error:
            raise Unreachable("PostgreSQL") from error
        except RPCError as error:
            raise Unreachable(f"Temporal at {self.settings.temporal_address}") from error

    async def staff(self, person: str | None = None) -> list[dict[str, Any]]:
        return await self._in_thread(self._staff, person)

    def _staff(self, person: str | None) -> list[dict[str, Any]]:
        library = self.ledger.library()
        found = [each for each in library.people() if person in (None, each.id)]
        if person and not found:
            raise Malformed("person", f"nobody has the id {person}", "an id that `staff list` shows")
        return [
            each.model_dump(mode="json")
            | {
                "roles": sorted(role.value for role in library.roles(each.id)),
                "at_work": library.is_active(each.id),
                "friends_administrator": library.friends_administrator(each.id),
            }
            for each in found
        ]

    async def preview_leaving(self, person: str, last_day: date) -> dict[str, Any]:
        """What would follow if this were someone's last day. Nothing is recorded."""
        return await self._in_thread(preview, self.ledger, person, last_day)

    async def orphans(self) -> list[dict[str, str]]:
        """Whatever is open, delegated, granted or seated and belongs to someone who is not at work here."""
        return await self._in_thread(orphans, self.ledger)

    async def rights(self) -> list[dict[str, Any]]:
        return await self._in_thread(self.views.rights, self.clock.now())

    async def remedies(self) -> list[dict[str, Any]]:
        return await self._in_thread(self.views.remedies)

    async def seen(self, log_position: int) -> bool:
        """Wait until the projections have what was just recorded; False if they have not in a few seconds."""
        return await self._in_thread(self.views.wait_for, log_position, SEEN_WITHIN_SECONDS)

    async def keep(
        self, content: bytes, media_type: str, case: str, concerns: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Store an evidence file beside the log; what to name in a command's `evidence`."""
        kept: Evidence = await self._in_thread(self._keep, content, media_type, case, concerns)
        return kept.model_dump(mode="json")

    async def only_who_has_to_do_with(self, case: str, person: str) -> None:
        """Raises NoAuthority where this person has nothing to do with the case."""
        await self._in_thread(self._only_who_has_to_do_with, case, person)

    def _only_who_has_to_do_with(self, case: str, person: str) -> None:
        state = self.ledger.state(case)
        if state.position == 0:
            raise NoSuchCase("case", f"there is no case {case}", "an id that `case list` shows")
        if not may_read_texts(person, state, self.ledger.library()):
            raise NoAuthority("PR-2", f"{person} has nothing to do with this case", "let someone who has add the file")

    def _keep(self, content: bytes, media_type: str, case: str, concerns: Sequence[str]) -> Evidence:
        state = self.ledger.state(case)
        if state.position == 0:
            raise NoSuchCase("case", f"there is no case {case}", "an id that `case list` shows")
        return self.evidence.put(content, media_type, case, patron_keys((*concerns, *concerned(state))))

    # -- sessions

    def token(self, person: str, method: str) -> str:
        return self.door.token(person, method, self.clock.now())

    async def whose(self, token: str) -> Proven:
        """Whose bearer token this is; raises Unproven, also when they are no longer with the library."""
        return await self._in_thread(self._whose, token)

    def _whose(self, token: str) -> Proven:
        library = self.ledger.library()
        life = timedelta(hours=library.policy.settings.credential_life_hours.value)
        proven = self.door.verifier().session(token, self.clock.now(), life)
        if not library.is_active(proven.actor.id):
            raise Unproven("the token's person is not an active employee")
        return proven

    async def in_a_thread(self, do: Callable[[], T]) -> T:
        """For what stands beside the desk and asks the same services; Unreachable where one is away."""
        return await self._in_thread(do)

    async def _in_thread(self, do: Callable[P, T], *with_: P.args, **named: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(do, *with_, **named)
        except DATABASE_AWAY as error:
            raise Unreachable("PostgreSQL") from error


def concerned(state: State) -> tuple[str, ...]:
    """The patrons whom everything in this case concerns, whether or not it is said again."""
    found: tuple[str, ...] = getattr(state, "concerned", tuple)()
    return found


def with_content_seen(state: State, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Who names no content decides on the request as this desk shows it now."""
    if "content" not in KINDS[kind].model_fields or "content" in fields:
        return fields
    # of a case that nobody requested there is nothing to see: the ledger says so
    return fields | {"content": getattr(state, "content", "") or NOTHING_SEEN}


def command_id(given: str | None, caller: Caller) -> str:
    """A UUID: the caller's own, or one that follows from whatever key the caller chose (an Idempotency-Key)."""
    if not given:
        return str(uuid4())
    try:
        return str(UUID(given))
    except ValueError:
        return str(uuid5(CASE_IDS, f"{caller.person}/{given}"))


def reader_of(reader: Caller | None) -> Sender:
    if reader is None:
        return operator(operator_name())
    return Sender(Actor(kind=ActorKind.PERSON, id=reader.person), reader.method, reader.channel, None)


def may_read_texts(person: str, state: State, library: Library) -> bool:
    """Those who have to do with the case read its free texts; others, auditors too, see that there is one."""
    if place := getattr(state, "handled_at", ""):
        # what patrons entrusted to the library: its branch and headquarters, nobody else (PR-12)
        return library.at_headquarters(person) or (library.is_employee(person) and library.place_of(person) == place)
    request, waiting = getattr(state, "request", None), getattr(state, "waiting", None)
    if request is None:
        return False
    asked = waiting.persons if waiting else ()
    named = (*getattr(state, "editors", ()), *asked, *getattr(request, "administrators", ()))
    return person in named or library.at_headquarters(person)


def set_up_of(state: State, library: Library) -> dict[str, Any] | None:
    """What is done of the set-up and what is left, once the account is being made."""
    if not isinstance(state, AccountCase) or state.stage not in BEING_MADE:
        return None
    left = open_tasks(state, library)
    return {
        "tasks": {
            task.id: "open" if task.id in left else "waived" if task.id in state.tasks_waived else "done"
            for task in library.policy.setup_tasks
        },
        "conditions_open": open_conditions(state),
        "still_to_confirm": [each for each in state.asked_for.administrators if each not in state.confirmed],
    }


def as_shown(state: State, facts: list[dict[str, Any]]) -> dict[str, Any]:
    shown = still_sealed(state.model_dump(mode="json"))
    return {
        "case": state.case,
        "process": stem_of(state.case),
        "stage": shown.get("stage", ""),
        "content": shown.get("content", ""),
        "waiting": shown.get("waiting"),
        "state": shown,
        "facts": facts,
    }
