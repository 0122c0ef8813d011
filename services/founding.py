"""The first start: who founded the system, under which policy, with which calendar and which first staff.

Every step has a command id of its own that follows from the installation, so a first start that was killed half way is
finished by the next one.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from uuid import UUID, uuid5

from domain.directory import STREAM as DIRECTORY_STREAM
from domain.directory import ImportStaff
from domain.facts import Malformed
from domain.founding import STREAM as FOUNDING_STREAM
from domain.founding import FoundSystem
from domain.opening_hours import STREAM as CALENDAR_STREAM
from domain.opening_hours import AdoptCalendar
from domain.policy import parse_policy, policy_hash
from domain.policy_adoption import STREAM as POLICY_STREAM
from domain.policy_adoption import AdoptPolicy
from services.hr.csv_feed import Feed, read_feed
from services.ledger import Answer, Ledger, operator

FOUNDING_IDS = UUID("b7a1a0a6-3f0e-5a43-8c7e-51d3b4f0c9a2")


class NotFounded(Exception):
    """The founding was refused: the policy or the feed does not hold together."""


def is_founded(ledger: Ledger) -> bool:
    return ledger.read_on(FOUNDING_STREAM)[0].position > 0


def found(ledger: Ledger, door_key: str, policy_file: Path, staff_file: Path | None) -> None:
    """Adopt the policy, take over its calendar, import the first staff, and say who did."""
    text = policy_file.read_text(encoding="utf-8")
    policy = parse_policy(text, str(policy_file))
    feed = read_feed(staff_file.read_bytes(), policy) if staff_file else None
    if feed and (wrong := (*feed.problems, *feed.unknown)):
        raise Malformed(str(staff_file), "; ".join(map(str, wrong)), "a feed without broken rows")
    who = operator(operator_name())

    def step(name: str, command: FoundSystem | AdoptPolicy | AdoptCalendar | ImportStaff, stream: str) -> None:
        answer = ledger.submit_own(command, stream, who, str(uuid5(FOUNDING_IDS, f"{name}/{door_key}")))
        expect(answer, name)

    step("policy", AdoptPolicy(text=text), POLICY_STREAM)
    step("calendar", AdoptCalendar(calendar=policy.calendar), CALENDAR_STREAM)
    if feed:
        step("staff", as_command(feed), DIRECTORY_STREAM)
    founding = FoundSystem(
        installation=policy.title,
        policy_sha256=policy_hash(text),
        staff_sha256=feed.sha256 if feed else None,
        door_key=door_key,
        follows_staff=True,
    )
    step("founding", founding, FOUNDING_STREAM)


def as_command(feed: Feed) -> ImportStaff:
    return ImportStaff(feed_sha256=feed.sha256, people=feed.people, left_out=len({p.line for p in feed.problems}))


def expect(answer: Answer, name: str) -> None:
    if answer.refusal:
        raise NotFounded(f"{name}: {answer.refusal.because}; would pass: {answer.refusal.remedy}")


def operator_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
