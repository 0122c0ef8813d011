"""Stores the bytes of every kind of fact and command that has none yet, and of every kind whose shape is new.

    python -m tests.domain.store_kinds

What is stored stays as it is: a later version of a kind gets a file of its own beside the first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

from domain import disclosure, run_history
from domain.account_creation_messages import (
    AmendRequest,
    AskForChanges,
    CompleteTask,
    MeetCondition,
    RefuseAccount,
    WaiveTask,
    WithdrawRequest,
)
from domain.attempts import AttemptRefused, AttemptsSuppressed, stream_beside
from domain.delegation import Delegate, Delegated, EndDelegation
from domain.directory import DeclareFriendsRole
from domain.disclosure import NoteExport, NoteReading
from domain.facts import (
    KINDS,
    Actor,
    ActorKind,
    Channel,
    Command,
    Envelope,
    Evidence,
    Fact,
    Message,
)
from domain.founding import BeginFollowingStaff
from domain.opening_hours import BranchClosed, CloseBranch, LiftClosure
from domain.requests import Condition
from domain.run_history import KeepRunHistory
from domain.waiting import Reconsider
from tests.domain.house import (
    ASSISTANT,
    AUDITOR,
    CASE,
    CLERK,
    DIRECTOR,
    ELSEWHERE,
    LOGO,
    MANAGER,
    MARKETING,
    TIMER,
    YOUTH,
    House,
    a_request,
    founded,
    sealed,
)
from tests.domain.patron_life import patrons_come_and_go
from tests.domain.privacy_life import patrons_are_forgotten
from tests.domain.staff_life import hr_feeds, people_go, rights_come_and_go

STORED = Path(__file__).parent / "stored"
UNPROVEN = Actor(kind=ActorKind.UNPROVEN, id="unproven")


def kinds_of(message: type[Message]) -> list[str]:
    """Every kind of the domain. Others may be known to a process that has loaded more than the domain."""
    return sorted(
        kind for kind, each in KINDS.items() if issubclass(each, message) and each.__module__.startswith("domain.")
    )


def folder_of(message: type[Message]) -> Path:
    return STORED / ("facts" if issubclass(message, Fact) else "commands")


def versions_of(kind: str, folder: Path) -> list[Path]:
    """The stored bytes of this kind, the oldest first."""
    return sorted(folder.glob(f"{kind}.v*.json"), key=version)


def version(file: Path) -> int:
    return int(file.stem.rpartition(".v")[2])


def kind_of(file: Path) -> str:
    return file.stem.rpartition(".v")[0]


def fields_in(raw: bytes) -> dict[str, Any]:
    """The message's own fields: within a fact's envelope, or within a command as received."""
    whole = json.loads(raw)
    fields: dict[str, Any] = whole["fact"] if "fact" in whole else whole["fields"]
    return fields


def has_todays_shape(raw: bytes, message: type[Message]) -> bool:
    fields = fields_in(raw)
    return message.model_validate(fields).model_dump(mode="json") == fields


# ---- a life in which everything happens


def another_case(nth: int) -> str:
    return f"{CASE[:-1]}{nth}"


def a_life() -> House:
    """Every kind of fact of every process, by the commands that make them."""
    house = founded()
    house.does(BeginFollowingStaff(), TIMER, "founding")
    the_staff_changes(house)
    the_house_closes(house)
    someone_stands_in(house)
    an_account_is_opened(house)
    patrons_come_and_go(house)
    patrons_are_forgotten(house)
    # whoever left and is back asks later than in the very moment of leaving
    house.passes(seconds=1)
    requests_come_to_nothing(house)
    rights_come_and_go(house)
    people_go(house)
    hr_feeds(house)
    records_are_read_and_kept(house)
    attempts_are_refused(house)
    return house


def the_staff_changes(house: House) -> None:
    house.imports(house.register.people[YOUTH].model_copy(update={"id": "p-new", "end": date(2027, 1, 31)}))
    house.hr_says(ASSISTANT, hours="Tue-Fri 10:00-17:00")
    house.hr_says(ASSISTANT, branch="west")
    house.leaves(ASSISTANT)
    house.hr_says(ASSISTANT, active=True)
    house.does(DeclareFriendsRole(person=ASSISTANT, administers=True), ASSISTANT, "directory")


def the_house_closes(house: House) -> None:
    closing = CloseBranch(place="durant", day=date(2026, 3, 3), from_time=time(12), to_time=time(13), because="Storm")
    (closed,) = house.does(closing, MANAGER, "opening_hours")
    assert isinstance(closed, BranchClosed)
    house.does(LiftClosure(closure=closed.closure.id, because="It passed"), MANAGER, "opening_hours")


def someone_stands_in(house: House) -> None:
    until = house.now + timedelta(days=10)
    delegation = Delegate(
        to=YOUTH, processes=("account_creation",), since=house.now, until=until, reason=sealed("On leave")
    )
    (given,) = house.does(delegation, DIRECTOR, "delegation")
    assert isinstance(given, Delegated)
    house.does(EndDelegation(delegation=given.delegation), YOUTH, "delegation")


def an_account_is_opened(house: House) -> None:
    house.requested()
    house.does(AskForChanges(content=house.case().content, reason=sealed("why")), DIRECTOR)
    amended = a_request("durantreads", posters=())
    house.does(AmendRequest.model_validate(amended.model_dump()), MANAGER)
    house.approved(conditions=(Condition(id="two-pictures", what=sealed("what")),))
    logo = Evidence(
        sha256=LOGO.sha256, size=1234, media_type="image/png", under=(f"case:{CASE}",), wrapped="AA==", nonce="AA=="
    )
    done = CompleteTask(
        task="logo", logo_source=LOGO.source, logo_sha256=LOGO.sha256, evidence=(logo,), note=sealed("note")
    )
    house.does(done, MARKETING)
    house.does(WaiveTask(task="policy_link", reason=sealed("why")), CLERK)
    house.set_up(without=("logo", "policy_link"))
    house.does(MeetCondition(condition="two-pictures", note=sealed("note")), MANAGER)
    house.confirmed().opened()


def requests_come_to_nothing(house: House) -> None:
    refused, withdrawn, left, expired = map(another_case, (2, 3, 4, 5))
    house.requested(case=refused)
    house.does(RefuseAccount(content=house.case(refused).content, reason=sealed("why")), DIRECTOR, refused)
    house.requested(case=withdrawn)
    house.does(WithdrawRequest(reason=sealed("why")), MANAGER, withdrawn)
    house.requested(by=ELSEWHERE, case=left)
    house.leaves(ELSEWHERE).does(Reconsider(), TIMER, left)
    house.requested(case=expired)
    house.does(CloseBranch(place="*", day=date(2026, 3, 4), because="Storm"), DIRECTOR, "opening_hours")
    house.leaves(DIRECTOR).reconsiders(expired)
    house.passes(days=40).time_passes(expired)


def records_are_read_and_kept(house: House) -> None:
    house.does(NoteReading(of_case=CASE), MANAGER, disclosure.stream_of(CASE))
    taken = NoteExport(of_case=CASE, formats=("jsonl",), events=12, up_to=40, since=house.now)
    house.does(taken, AUDITOR, disclosure.stream_of(CASE))
    history = Evidence(
        sha256=LOGO.sha256, size=1234, media_type="application/gzip", under=(f"case:{CASE}",), wrapped="AA==",
        nonce="AA==",
    )  # fmt: skip
    kept = KeepRunHistory(of_case=CASE, run="run", type="AccountCreation", ended="completed", steps=9, history=history)
    house.does(kept, TIMER, run_history.stream_of(CASE))


def attempts_are_refused(house: House) -> None:
    refused = AttemptRefused(
        asked="account_creation.ApproveAccount", by=UNPROVEN, refused_by=("PR-1",), because="there is no credential",
        remedy="a credential that a door of this system signs for exactly this command",
    )  # fmt: skip
    suppressed = AttemptsSuppressed(by="unproven:unproven", since=house.now, count=20_000)
    for nth, fact in enumerate((refused, suppressed), start=1):
        house.log.append(house.log[-1]._replace(envelope=beside(house, fact, nth), fact=fact))


def beside(house: House, fact: Fact, position: int) -> Envelope:
    last = house.log[-1].envelope
    return last.model_copy(
        update={
            "case": stream_beside(CASE), "position": position, "actor": UNPROVEN, "channel": Channel.SIGNAL,
            "kind": fact.kind, "fact": fact.model_dump(mode="json"), "clauses": fact.cites(), "command": None,
        }
    )  # fmt: skip


# ---- storing


def examples(house: House) -> Iterator[tuple[Path, str, bytes]]:
    """The first of each kind of fact, and of each kind of command, in the bytes that the ledger stores."""
    for recorded in house.log:
        envelope = recorded.envelope
        yield folder_of(Fact), envelope.kind, envelope.model_dump_json().encode()
        if envelope.command:
            received = json.dumps(envelope.command, ensure_ascii=False, separators=(",", ":"))
            yield folder_of(Command), envelope.command["kind"], received.encode()


def store(folder: Path, kind: str, raw: bytes) -> Path | None:
    stored = versions_of(kind, folder)
    if stored and has_todays_shape(stored[-1].read_bytes(), KINDS[kind]):
        return None
    file = folder / f"{kind}.v{version(stored[-1]) + 1 if stored else 1}.json"
    return written_once(file, raw)


def store_streams(house: House) -> Iterator[Path]:
    """Whole cases, each under the name of the stage that it came to."""
    for case in sorted(each for each in house.states if each.startswith("account_creation-")):
        file = STORED / "streams" / f"{house.case(case).stage}.{case[-1]}.v1.jsonl"
        lines = [each.envelope.model_dump_json() for each in house.log if each.envelope.case == case]
        if not file.exists():
            yield written_once(file, "\n".join(lines).encode())


def written_once(file: Path, raw: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as out:
        out.write(raw)
    return file


def main() -> None:
    house = a_life()
    stored = [store(folder, kind, raw) for folder, kind, raw in examples(house)]
    for file in (*filter(None, stored), *store_streams(house)):
        sys.stdout.write(f"{file.relative_to(STORED)}\n")


if __name__ == "__main__":
    main()
