"""Forgetting a patron as a durable workflow: held, agreed to, destroyed once; each test ends by replaying."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from domain.account_creation_messages import WithdrawRequest
from domain.erasure_messages import AskedBy, AskErasure, LookAgain, RefuseErasure
from domain.facts import Evidence, Sealed, case_key, patron_key
from domain.legal_hold import HoldPlaced, Over, PlaceHold, ReleaseHold
from domain.photo_permission_messages import AddPicture, IdentifyPerson, Person, SetPictureAside, TakePictureIn
from domain.waiting import Reconsider
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.erasing import ErasureActivities
from services.key_rotation import destroy
from services.ledger import SYSTEM
from services.seal import CannotOpen, KeyFile, KeyStore, Seal
from tests.domain.patrons import TAKEN
from tests.fresh import fresh_database
from tests.system import Office, a_request, sealed
from tests.workflows.erasures import BRANCH, CLERK, COORDINATOR, DIRECTOR, agreed, asked, sealed_for
from tests.workflows.patrons import PHOTOGRAPHER
from tests.workflows.running import Requested, Running, ServersClock, at_work

SAID = "They live in the white house beside the library."


class Forgetting:
    """A system with keys of its own, and what is asked of it."""

    def __init__(self, running: Running, keys: KeyStore) -> None:
        self.running, self.keys, self.seal = running, keys, Seal(keys)

    async def a_case_about(self, patron: str) -> tuple[str, Sealed]:
        """A case that is over, with something in it that only this patron's key opens."""
        case = f"account_creation-{uuid4()}"
        told = self.seal.text(SAID, case, "told", "purpose", also_under=(patron_key(patron),))
        request = a_request(f"h{case[-12:]}", purpose=told, audience=told)
        await self.running.directly(request, case, BRANCH)
        return case, told

    async def asked(self, patron: str) -> Requested:
        return await asked(self.running, patron)

    async def agreed(self, erasure: Requested) -> None:
        await agreed(erasure)

    async def a_picture_of(self, patron: str) -> tuple[str, tuple[Evidence, bytes]]:
        """A case with a picture, which this patron's key opens."""
        case = f"photo_permission-{uuid4()}"
        picture = self.seal.file(b"a picture", "image/png", case, (patron_key(patron),))
        person = Person(patron=patron, who=self.said_of(case, "taken", patron))
        taken_at = await self.running.now()
        take = TakePictureIn(taken_at=taken_at, taken_by=PHOTOGRAPHER, place="durant", persons=(person,))
        requested = await self.running.start(await self.running.payload(take, case, PHOTOGRAPHER), case)
        assert "recorded" in await requested.opened()
        await requested.done(AddPicture(evidence=(picture[0],), taken=TAKEN), PHOTOGRAPHER)
        return case, picture

    def said_of(self, case: str, command: str, *patrons: str) -> Sealed:
        return self.seal.text(SAID, case, command, "who", also_under=map(patron_key, patrons))

    def opens_file(self, evidence: Evidence, ciphertext: bytes) -> bool:
        try:
            return bool(self.seal.opened_file(evidence, ciphertext))
        except CannotOpen:
            return False

    def keys_destroyed(self) -> list[tuple[str]]:
        with self.keys.pool.connection() as conn:
            return conn.execute("select key_id from keys.destroyed").fetchall()

    def opens(self, told: Sealed) -> bool:
        try:
            return self.seal.opened(told, "told", "purpose") == SAID
        except CannotOpen:
            return False

    def looks_again(self, case: str) -> None:
        self.running.office.ledger.submit_own(Reconsider(), case, SYSTEM, str(uuid4()))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def forgetting(
    server: EmbeddedPostgreSQL, time_skipping: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Forgetting]:
    file = KeyFile(Path(tmp_path_factory.mktemp("keys")) / "kek").made()
    with fresh_database(server) as database:
        keeper = database.url("keeper")
        keys, office = KeyStore(keeper, file), Office(database, ServersClock(time_skipping))
        erasing = ErasureActivities(office.ledger, keeper, file)
        async with at_work(time_skipping.client, office, time_skipping, erasing) as running:
            yield Forgetting(running, keys)
        keys.close()


async def test_a_patron_is_forgotten_and_the_proof_is_the_last_event(forgetting: Forgetting) -> None:
    patron, other = str(uuid4()), str(uuid4())
    case, told = await forgetting.a_case_about(patron)
    _, of_another = await forgetting.a_case_about(other)
    erasure = await forgetting.asked(patron)
    await erasure.until("held")
    assert (await erasure.known()).open_cases == (case,)
    await withdrawn(forgetting, case)
    await erasure.done(LookAgain(), BRANCH)
    await erasure.until("first_decision")
    assert (await erasure.known()).cases == (case,)
    await forgetting.agreed(erasure)
    assert (await erasure.ended())["stage"] == "erased"
    assert (await erasure.kinds())[-3:] == ["ErasureAgreed", "DestructionBegun", "PatronErased"]
    assert (forgetting.opens(told), forgetting.opens(of_another)) == (False, True)
    await erasure.replayed()


async def withdrawn(forgetting: Forgetting, case: str) -> None:
    await forgetting.running.directly(WithdrawRequest(), case, BRANCH)


async def test_a_legal_hold_stops_it_until_it_is_released_and_looked_at_anew(forgetting: Forgetting) -> None:
    patron = str(uuid4())
    hold = PlaceHold(over=Over.PERSON, of=patron, reason=sealed())
    ledger = forgetting.running.office.ledger
    await forgetting.running.directly(hold, "legal_hold", CLERK)
    erasure = await forgetting.asked(patron)
    await erasure.until("held")
    (placed,) = await asyncio.to_thread(lambda: ledger.library().legal_holds())
    assert isinstance(placed, HoldPlaced)
    await forgetting.running.directly(ReleaseHold(hold=placed.hold, reason=sealed()), "legal_hold", DIRECTOR)
    await asyncio.to_thread(forgetting.looks_again, erasure.case)
    await erasure.handle.signal("nudge")
    await erasure.until("first_decision")
    refuse = RefuseErasure(content=(await erasure.known()).content, reason=sealed_for(patron))
    await erasure.done(refuse, COORDINATOR)
    assert (await erasure.ended())["stage"] == "refused"
    await erasure.replayed()


async def test_a_picture_goes_with_someone_who_was_recognised_in_it_later(forgetting: Forgetting) -> None:
    """And with nobody else: another picture of the one who stays is opened as before."""
    stays, goes = str(uuid4()), str(uuid4())
    (case, picture), (_, other) = [await forgetting.a_picture_of(stays) for _ in range(2)]
    seen = IdentifyPerson(person=Person(patron=goes, who=forgetting.said_of(case, "seen", stays, goes)))
    await forgetting.running.directly(seen, case, PHOTOGRAPHER)
    await forgetting.running.directly(SetPictureAside(reason=sealed_for(stays)), case, PHOTOGRAPHER)
    assert forgetting.opens_file(*picture)
    erasure = await forgetting.asked(goes)
    await erasure.until("first_decision")
    await forgetting.agreed(erasure)
    assert (await erasure.ended())["stage"] == "erased"
    assert (forgetting.opens_file(*picture), forgetting.opens_file(*other)) == (False, True)
    destroyed = [key for (key,) in forgetting.keys_destroyed()]
    assert {patron_key(goes), case_key(case)} <= set(destroyed)
    assert patron_key(stays) not in destroyed


async def test_while_the_database_refuses_the_keeper_it_waits_and_is_done_once_afterwards(
    forgetting: Forgetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    patron, calls = str(uuid4()), iter(range(100))

    def away_twice(*given: Any) -> Any:
        if next(calls) < 2:
            raise psycopg.OperationalError("the database is away")
        return destroy(*given)

    monkeypatch.setattr("services.erasing.destroy", away_twice)
    erasure = await forgetting.asked(patron)
    await erasure.until("first_decision")
    await forgetting.agreed(erasure)
    assert (await erasure.ended())["stage"] == "erased"
    assert (await erasure.kinds()).count("PatronErased") == 1
    await erasure.replayed()


async def test_a_plain_signal_in_clear_is_no_request(forgetting: Forgetting) -> None:
    """What it says in clear is nowhere but in Temporal, which was reached directly."""
    patron = str(uuid4())
    erasure = await forgetting.asked(patron)
    await erasure.until("first_decision")
    payload = await forgetting.running.payload(
        RefuseErasure(content=(await erasure.known()).content, reason=sealed_for(patron)), erasure.case, COORDINATOR
    )
    await erasure.handle.signal("submit", payload | {"fields": payload["fields"] | {"reason": SAID}})
    elsewhere = payload | {"fields": payload["fields"] | {"reason": sealed_for(patron).model_dump(mode="json")}}
    answer = await erasure.handle.execute_update("submit", elsewhere)
    assert "another case" in answer["malformed"]["message"]
    assert (await erasure.known()).stage == "first_decision"
    assert SAID not in str([each.model_dump() for each in await erasure.envelopes()])
    await erasure.done(RefuseErasure(content=(await erasure.known()).content, reason=sealed_for(patron)), COORDINATOR)
    assert (await erasure.ended())["stage"] == "refused"


async def test_a_reason_that_would_outlive_the_patron_is_malformed(forgetting: Forgetting) -> None:
    patron, case = str(uuid4()), f"erasure-{uuid4()}"
    ask = AskErasure(patron=patron, asked_by=AskedBy.PATRON, reason=sealed())
    erasure = await forgetting.running.start(await forgetting.running.payload(ask, case, BRANCH), case)
    assert (await erasure.opened())["malformed"]["field"] == "reason"
