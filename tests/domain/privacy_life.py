"""What happens with legal holds, openings and erasures in a life in which everything happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.erasure import ErasureCase
from domain.erasure_messages import (
    AgreeToErase,
    AskedBy,
    AskErasure,
    LookAgain,
    RecordDestruction,
    RefuseErasure,
    ReportWhatStands,
    Trace,
    WithdrawErasure,
)
from domain.facts import Fact, Sealed, patron_key
from domain.legal_hold import HoldPlaced, Over, PlaceHold, ReleaseHold
from domain.openings import SEARCH, OpenFile, OpenSealed, Purpose, SeekPatrons, stream_for
from tests.domain.house import CASE, CLERK, DIRECTOR, LOGO, MANAGER, MARKETING, TIMER, House, sealed

PATRON = "00000000-0000-4000-8000-000000000001"
DESTROYED = RecordDestruction(kek_before="aaaa", kek_after="bbbb", survivors=3)


def erasure(nth: int = 1) -> str:
    return f"erasure-11111111-1111-4111-8111-{nth:012x}"


def sealed_for(patron: str = PATRON, case: str = "") -> Sealed:
    return sealed("why").model_copy(update={"under": (f"case:{case or erasure()}", patron_key(patron))})


def trace(house: House, case: str = CASE, **said: Any) -> Trace:
    found: dict[str, Any] = {"case": case, "open": False, "newest": house.now - timedelta(days=1)}
    return Trace(**(found | said))


def case_of(house: House, nth: int = 1) -> ErasureCase:
    state = house.state(erasure(nth))
    assert isinstance(state, ErasureCase)
    return state


def asked(house: House, nth: int = 1, by: str = MANAGER, patron: str = PATRON) -> House:
    house.does(AskErasure(patron=patron, asked_by=AskedBy.PATRON, reason=sealed_for(patron)), by, erasure(nth))
    return house


def reports(house: House, *traces: Trace, nth: int = 1) -> list[Fact]:
    return house.does(ReportWhatStands(traces=traces), TIMER, erasure(nth))


def in_first_decision(house: House, nth: int = 1, **more: Any) -> House:
    reports(asked(house, nth, **more), trace(house), nth=nth)
    return house


def agrees(house: House, person: str, nth: int = 1) -> list[Fact]:
    return house.does(AgreeToErase(content=case_of(house, nth).content), person, erasure(nth))


def agreed(house: House, nth: int = 1, **more: Any) -> House:
    in_first_decision(house, nth, **more)
    agrees(house, MARKETING, nth)
    agrees(house, DIRECTOR, nth)
    return house


def erased(house: House, nth: int = 1, **more: Any) -> House:
    agreed(house, nth, **more)
    reports(house, trace(house), nth=nth)
    house.does(DESTROYED, TIMER, erasure(nth))
    return house


def holds(house: House, over: Over = Over.ALL, of: str = "", by: str = CLERK) -> str:
    (placed,) = house.does(PlaceHold(over=over, of=of, reason=sealed("why")), by, "legal_hold")
    assert isinstance(placed, HoldPlaced)
    return placed.hold


def releases(house: House, hold: str, by: str = DIRECTOR) -> list[Fact]:
    return house.does(ReleaseHold(hold=hold, reason=sealed("why")), by, "legal_hold")


def patrons_are_forgotten(house: House) -> None:
    house.does(OpenSealed(case=CASE, patrons=(PATRON,), purpose=Purpose.CASE_WORK), CLERK, stream_for(CASE))
    file = OpenFile(case=CASE, file=LOGO.sha256, patrons=(PATRON,), purpose=Purpose.RECORDS_REQUEST)
    house.does(file, CLERK, stream_for(CASE))
    search = SeekPatrons(by_what=("name",), patrons=(PATRON,), purpose=Purpose.IDENTITY_CHECK)
    house.does(search, CLERK, stream_for(SEARCH))
    hold = holds(house)
    reports(asked(house), trace(house))
    releases(house, hold)
    house.does(LookAgain(), MANAGER, erasure())
    house.does(WithdrawErasure(), MANAGER, erasure())
    in_first_decision(house, 2)
    house.does(RefuseErasure(content=case_of(house, 2).content, reason=sealed_for()), MARKETING, erasure(2))
    in_first_decision(house, 3)
    now = house.now
    house.passes(days=40).time_passes(erasure(3))
    erased(house.comes(now), 4)
