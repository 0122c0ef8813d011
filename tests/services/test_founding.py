"""The first start: done once, by the operator, and finished by the next one where it was cut short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from domain.directory import STREAM as DIRECTORY
from domain.facts import ActorKind, Malformed, Recorded
from domain.founding import STREAM as FOUNDING
from domain.policy import PolicyError
from services.database import migrate
from services.founding import NotFounded, found, is_founded
from services.ledger import Answer, Ledger
from tests.system import POLICY, STAFF, Database, Office


@pytest.fixture
def office(database: Database) -> Iterator[Office]:
    """A database of its own for each test: what is founded stays founded."""
    name = f"founding_{uuid4().hex}"
    with psycopg.connect(database.server, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    own = Database(database.server, name, database.passwords)
    migrate(own.superuser, own.passwords)
    office = Office(own)
    yield office
    office.close()


def kinds(ledger: Ledger) -> list[str]:
    return [row.topic for row in ledger.recorder.between(1, 1_000)]


def test_the_policy_its_calendar_the_staff_and_the_founding_are_recorded_in_this_order(office: Office) -> None:
    assert not is_founded(office.ledger)
    found(office.ledger, office.door.public, POLICY, STAFF)
    assert is_founded(office.ledger)
    assert list(dict.fromkeys(kinds(office.ledger))) == [
        "policy_adoption.PolicyAdopted",
        "opening_hours.CalendarAdopted",
        "directory.PersonJoined",
        "directory.StaffImported",
        "founding.SystemFounded",
    ]


def test_who_founded_it_and_whose_signatures_count_is_on_record(office: Office) -> None:
    found(office.ledger, office.door.public, POLICY, STAFF)
    (founded,) = office.ledger.read_on(FOUNDING)[1]
    assert founded.envelope.actor.kind is ActorKind.OPERATOR
    assert founded.envelope.fact["door_key"] == office.door.public
    adopted: Recorded = office.ledger.read_on("policy_adoption")[1][0]
    assert founded.envelope.fact["policy_sha256"] == adopted.envelope.fact["sha256"]


def test_founding_again_with_the_same_key_and_files_changes_nothing(office: Office) -> None:
    found(office.ledger, office.door.public, POLICY, STAFF)
    before = kinds(office.ledger)
    found(office.ledger, office.door.public, POLICY, STAFF)
    assert kinds(office.ledger) == before


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_founding_that_was_cut_short_is_finished_by_the_next(office: Office, steps: int) -> None:
    class Killed(Exception):
        pass

    done: list[Answer] = []
    submit_own = office.ledger.submit_own

    def until_killed(*args: object, **kwargs: object) -> Answer:
        if len(done) == steps:
            raise Killed
        done.append(submit_own(*args, **kwargs))  # type: ignore[arg-type]
        return done[-1]

    office.ledger.submit_own = until_killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        found(office.ledger, office.door.public, POLICY, STAFF)
    assert not is_founded(office.ledger)
    office.ledger.submit_own = submit_own  # type: ignore[method-assign]
    found(office.ledger, office.door.public, POLICY, STAFF)
    assert is_founded(office.ledger)
    assert kinds(office.ledger).count("policy_adoption.PolicyAdopted") == 1
    assert kinds(office.ledger).count("directory.StaffImported") == 1


def test_a_founding_with_another_policy_half_way_is_a_conflict_and_says_so(office: Office, tmp_path: Path) -> None:
    found(office.ledger, office.door.public, POLICY, STAFF)
    other = tmp_path / "other.toml"
    other.write_text(POLICY.read_text() + "\n# changed\n")
    with pytest.raises(NotFounded, match=r"policy: the command id .* was used for other content"):
        found(office.ledger, office.door.public, other, STAFF)


def test_a_second_door_key_does_not_found_it_again(office: Office) -> None:
    found(office.ledger, office.door.public, POLICY, STAFF)
    with pytest.raises(NotFounded):
        found(office.ledger, "another-key", POLICY, STAFF)
    assert kinds(office.ledger).count("founding.SystemFounded") == 1


def test_a_feed_with_a_broken_row_founds_nothing(office: Office, tmp_path: Path) -> None:
    staff = tmp_path / "staff.csv"
    staff.write_text(STAFF.read_text().replace(",kosciusko,", ",jackson,", 1))
    with pytest.raises(Malformed, match="line 10, branch: there is no branch jackson"):
        found(office.ledger, office.door.public, POLICY, staff)
    assert kinds(office.ledger) == []


def test_a_policy_that_does_not_hold_together_founds_nothing(office: Office, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("version = 1\n")
    with pytest.raises(PolicyError):
        found(office.ledger, office.door.public, policy, STAFF)
    assert kinds(office.ledger) == []


def test_it_can_be_founded_without_a_staff_feed(office: Office) -> None:
    found(office.ledger, office.door.public, POLICY, None)
    assert office.ledger.state(DIRECTORY).position == 0
    assert office.ledger.read_on(FOUNDING)[1][0].envelope.fact["staff_sha256"] is None
