"""Once, in order, by what was known: the promises of the ledger, on a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from domain.account_creation import AccountCase, Stage
from domain.account_creation_messages import (
    AmendRequest,
    ApproveAccount,
    ConfirmAdministration,
    RefuseAccount,
    WithdrawRequest,
)
from domain.directory import STREAM as DIRECTORY
from domain.directory import DeclareFriendsRole, ImportStaff
from domain.facts import Envelope, Malformed
from domain.hr_feed_messages import RegisterHrSystem, RevokeHrToken, stream_of
from domain.waiting import LetTimePass
from services.audit.verify import verify
from services.ledger import FACTS_IN_MEMORY, TIMER, Answer, Judged, Ledger, columns_of, operator
from services.recorder import Known, LedgerRecorder, NotRecorded, Row
from tests.proxy import DroppingProxy
from tests.system import Database, Office, SetClock, a_case, a_request, sealed
from workflows.messages import NO_CASE

OPERATOR = operator("a test")


@pytest.fixture
def another(database: Database, office: Office) -> Iterator[Office]:
    """The same system as another process has it: nothing in memory yet."""
    other = Office(database, office.clock)
    other.door = office.door
    other.ledger.close()
    other.ledger = office.elsewhere()
    yield other
    other.close()


@pytest.fixture
def case(office: Office) -> str:
    """Requested, and not decided yet."""
    case = a_case()
    answer = office.submit(a_request(f"h{case[-10:]}"), case, "p-bm-durant")
    assert answer.refusal is None
    return case


def approval(office: Office, case: str) -> ApproveAccount:
    return ApproveAccount(content=state_of(office, case).content)


def state_of(office: Office, case: str) -> AccountCase:
    state = office.ledger.state(case)
    assert isinstance(state, AccountCase)
    return state


def kinds(answer: Answer) -> list[str]:
    return [each.envelope.kind for each in answer.facts]


def log(database: Database, where: str = "true", **values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(database.url("reader"), row_factory=psycopg.rows.dict_row) as conn:
        query = f"select * from ledger.events where {where} order by notification_id"
        return conn.execute(query.encode(), values).fetchall()


def beside(database: Database, case: str) -> list[Envelope]:
    rows = log(database, "originator_id = %(stream)s", stream=f"{case}!attempts")
    return [Envelope.model_validate_json(row["state"]) for row in rows]


# once


def test_the_same_command_again_gets_the_first_answer_and_records_nothing(office: Office, case: str) -> None:
    command, id_ = approval(office, case), str(uuid4())
    first = office.submit(command, case, "p-ed", id_)
    again = office.submit(command, case, "p-ed", id_)
    assert again == first
    assert kinds(again) == ["account_creation.AccountApproved", "waiting.Asked"]
    assert len(office.ledger.read_on(case)[1]) == 4


def test_the_same_command_again_in_another_process_is_not_refused_for_its_own_success(
    office: Office, another: Office, case: str
) -> None:
    command, id_ = approval(office, case), str(uuid4())
    first = office.submit(command, case, "p-ed", id_)
    assert another.submit(command, case, "p-ed", id_) == first


def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing(office: Office, case: str) -> None:
    id_ = str(uuid4())
    office.submit(approval(office, case), case, "p-ed", id_)
    answer = office.submit(RefuseAccount(content="0" * 64, reason=sealed()), case, "p-ed", id_)
    assert answer.refusal is not None
    assert answer.refusal.because == f"the command id {id_} was used for other content"
    assert state_of(office, case).stage is Stage.SET_UP


def test_a_stored_answer_goes_to_its_sender_alone(office: Office, case: str) -> None:
    command, id_ = approval(office, case), str(uuid4())
    office.submit(command, case, "p-ed", id_)
    answer = office.submit(command, case, "p-mac", id_)
    assert not answer.facts
    assert answer.refusal is not None
    assert "does not follow" in answer.refusal.because


def test_a_refused_command_again_gets_the_first_refusal_though_it_would_pass_now(office: Office, case: str) -> None:
    confirm, id_ = ConfirmAdministration(), str(uuid4())
    first = office.submit(confirm, case, "p-mac", id_)
    assert first.refusal is not None
    office.submit(approval(office, case), case, "p-ed")
    assert office.submit(confirm, case, "p-mac", id_) == first
    assert kinds(office.submit(confirm, case, "p-mac")) == ["account_creation.AdministrationConfirmed"]


def test_a_command_of_which_nothing_followed_is_answered_so_for_ever(office: Office, case: str) -> None:
    office.submit(approval(office, case), case, "p-ed")
    office.submit(ConfirmAdministration(), case, "p-mac")
    id_ = str(uuid4())
    first = office.submit(ConfirmAdministration(), case, "p-mac", id_)
    assert (first.facts, first.refusal) == ((), None)
    office.submit(WithdrawRequest(), case, "p-bm-durant")
    assert office.submit(ConfirmAdministration(), case, "p-mac", id_) == first
    conflict = office.submit(DeclareFriendsRole(person="p-mac", administers=False), DIRECTORY, "p-mac", id_)
    assert conflict.refusal is not None


def test_a_timer_that_comes_too_late_is_moot_and_leaves_no_trace(office: Office, database: Database, case: str) -> None:
    before = len(log(database))
    answer = office.ledger.submit_own(LetTimePass(), case, TIMER, "a timer's id")
    assert (answer.facts, answer.refusal) == ((), None)
    refused = office.ledger.submit_own(approval(office, case), case, TIMER, "another timer's id")
    assert refused.refusal is not None
    assert len(log(database)) == before
    with psycopg.connect(database.url("reader")) as conn:
        assert not conn.execute("select 1 from ledger.commands where sender = 'timer:timer'").fetchall()


# what is lost on the way


@pytest.fixture
def proxy(database: Database) -> Iterator[DroppingProxy]:
    server = urlsplit(database.superuser)
    with DroppingProxy(server.hostname or "", server.port or 0) as proxy:
        yield proxy


@pytest.fixture
def far(database: Database, office: Office, proxy: DroppingProxy) -> Iterator[Office]:
    """The same system behind the proxy."""
    far = Office(database, office.clock)
    far.door = office.door
    far.ledger.close()
    url = database.url("recorder").replace(f":{urlsplit(database.superuser).port}/", f":{proxy.port}/")
    far.ledger = Ledger(url, office.clock, office.door.verifier(), pool_size=2)
    yield far
    far.close()


@pytest.mark.parametrize("warm", [False, True], ids=["first call", "prepared call"])
def test_a_commit_whose_answer_was_lost_is_found_again(
    office: Office, far: Office, proxy: DroppingProxy, case: str, warm: bool
) -> None:
    if warm:
        for _ in range(8):
            far.submit(ConfirmAdministration(), case, "p-mac")
    command = approval(office, case)
    proxy.drop_next_answer()
    answer = far.submit(command, case, "p-ed")
    assert proxy.dropped == 1
    assert kinds(answer) == ["account_creation.AccountApproved", "waiting.Asked"]
    assert [each.envelope.position for each in far.ledger.read_on(case)[1]] == [1, 2, 3, 4]


def test_three_answers_lost_one_after_the_other_are_one_record(
    office: Office, far: Office, proxy: DroppingProxy, case: str
) -> None:
    proxy.drop_next_answer(3)
    answer = far.submit(RefuseAccount(content=state_of(office, case).content, reason=sealed()), case, "p-ed")
    assert kinds(answer) == ["account_creation.AccountRefused"]
    assert proxy.dropped == 3
    assert len(office.ledger.read_on(case)[1]) == 3


def test_a_refusal_whose_answer_was_lost_is_noted_once(
    database: Database, far: Office, proxy: DroppingProxy, case: str
) -> None:
    proxy.drop_next_answer()
    answer = far.submit(ConfirmAdministration(), case, "p-mac")
    assert proxy.dropped == 1
    assert answer.refusal is not None
    assert len(beside(database, case)) == 1


def test_unproven_attempts_whose_answer_was_lost_are_noted_once(
    database: Database, far: Office, proxy: DroppingProxy, case: str
) -> None:
    proxy.drop_next_answer()
    far.ledger.refuse_unproven(case, "unknown", "there is no credential", times=3)
    assert proxy.dropped == 1
    assert len(beside(database, case)) == 3


def test_connections_that_died_with_the_server_are_replaced_and_nobody_notices(
    database: Database, office: Office, case: str
) -> None:
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda _: office.ledger.state(case), range(40)))
    with psycopg.connect(database.superuser, autocommit=True) as conn:
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'imprimatur-ledger' and datname = current_database()"
        )
    assert kinds(office.submit(approval(office, case), case, "p-ed")) == [
        "account_creation.AccountApproved",
        "waiting.Asked",
    ]


# by what was known


class Overtaken(Ledger):
    """Somebody always records a little earlier, as long as it decides without the lock."""

    overtaker: Office
    losses = 0
    under_the_lock = 0

    def _write(self, judged: Judged, within: Any = None) -> Answer:
        if within is None:
            was = self.overtaker.ledger.library().friends_administrator("p-bs-west-1")
            said = DeclareFriendsRole(person="p-bs-west-1", administers=not was)
            self.overtaker.submit(said, DIRECTORY, "p-bs-west-1")
        else:
            self.under_the_lock += 1
        try:
            return super()._write(judged, within)
        except NotRecorded as lost:
            self.losses += lost.outcome == "moved"
            raise


@pytest.fixture
def overtaken(database: Database, office: Office) -> Iterator[Overtaken]:
    ledger = Overtaken(database.url("recorder"), office.clock, office.door.verifier())
    ledger.overtaker = office
    yield ledger
    ledger.close()


def test_after_three_losses_it_decides_while_nobody_else_can_record(
    office: Office, overtaken: Overtaken, case: str
) -> None:
    answer = overtaken.submit(office.submission(approval(office, case), case, "p-ed"))
    assert kinds(answer) == ["account_creation.AccountApproved", "waiting.Asked"]
    assert (overtaken.losses, overtaken.under_the_lock) == (3, 1)
    assert overtaken.state(case) == office.ledger.state(case)


def test_a_refusal_that_was_overtaken_three_times_is_noted_under_the_lock(
    office: Office, database: Database, overtaken: Overtaken, case: str
) -> None:
    answer = overtaken.submit(office.submission(approval(office, case), case, "p-bm-durant"))
    assert answer.refusal is not None
    assert (overtaken.losses, overtaken.under_the_lock) == (3, 1)
    (noted,) = beside(database, case)
    newest_before = log(database, "shared and notification_id < %(at)s", at=answer.position)[-1]
    assert noted.read_up_to == newest_before["notification_id"]


def test_under_the_lock_a_command_that_was_answered_meanwhile_gets_that_answer(
    office: Office, overtaken: Overtaken, case: str
) -> None:
    submission = office.submission(approval(office, case), case, "p-ed")
    sent = overtaken._decide_while_holding_the_lock
    first: list[Answer] = []

    def after_another_process(attempt: Any) -> Answer:
        first.append(office.ledger.submit(submission))
        return sent(attempt)

    overtaken._decide_while_holding_the_lock = after_another_process  # type: ignore[method-assign]
    assert overtaken.submit(submission) == first[0]


def test_a_decision_on_a_request_that_moved_meanwhile_is_judged_on_what_stands_now(
    office: Office, another: Office, case: str
) -> None:
    command = approval(another, case)
    office.submit(WithdrawRequest(), case, "p-bm-durant")
    answer = another.submit(command, case, "p-ed")
    assert answer.refusal is not None
    assert answer.refusal.because == "the case has ended: withdrawn"


def test_sixteen_threads_on_two_connections_each_get_an_answer(database: Database, office: Office) -> None:
    busy = Overtaken(database.url("recorder"), office.clock, office.door.verifier(), pool_size=1)
    busy.overtaker = office
    cases = [a_case() for _ in range(32)]
    for nth, each in enumerate(cases):
        office.submit(a_request(f"threads{nth}"), each, "p-bm-durant")
    asked = [office.submission(approval(office, each), each, "p-ed") for each in cases]
    try:
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(busy.submit, asked, timeout=120))
    finally:
        busy.close()
    assert [answer.refusal for answer in answers] == [None] * 32
    assert [state_of(office, each).stage for each in cases] == [Stage.SET_UP] * 32


# what is on record


def test_the_log_is_dense_and_every_column_says_what_the_bytes_say(database: Database, office: Office) -> None:
    rows = log(database)
    assert [row["notification_id"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["recorded_at"] for row in rows] == sorted(row["recorded_at"] for row in rows)
    for row in rows:
        envelope = Envelope.model_validate_json(row["state"])
        place = (row["originator_id"], row["originator_version"], row["topic"])
        assert place == (envelope.case, envelope.position, envelope.kind)
        expected = columns_of(envelope) | {"at": envelope.at, "occurred_at": envelope.occurred_at}
        assert {name: row[name] for name in expected} == expected
    assert verify(database.url("reader"))["findings"] == []


def test_the_command_as_received_and_all_that_was_known_stand_inside_the_stored_bytes(
    office: Office, database: Database, case: str
) -> None:
    submission = office.submission(approval(office, case), case, "p-ed")
    newest = office.ledger._register.position
    answer = office.ledger.submit(submission, workflow=case, run="run-1")
    rows = log(database, "originator_id = %(case)s", case=case)
    first, second = (Envelope.model_validate_json(row["state"]) for row in rows[2:])
    assert first.command == submission.model_dump(mode="json")
    assert second.command is None
    assert (first.role, first.place, first.on_behalf_of) == ("executive_director", "hq", "")
    assert (first.proven_by, first.channel, first.actor.id) == ("a test", "api", "p-ed")
    assert (first.workflow, first.run, first.command_id) == (case, "run-1", submission.id)
    assert first.read_up_to == newest
    assert first.policy == office.ledger.library().policy.version
    assert [each.envelope.model_dump(mode="json") for each in answer.facts] == [
        each.model_dump(mode="json") for each in (first, second)
    ]


def test_facts_are_given_after_a_position_whether_they_are_in_memory_or_not(
    office: Office, another: Office, case: str
) -> None:
    for nth in range(FACTS_IN_MEMORY + 4):
        wanted = a_request(f"amended{nth}{case[-8:]}").model_dump()
        office.submit(AmendRequest(**wanted), case, "p-bm-durant")
    all_of_them = office.ledger.recorder.stream_after(case, 0)
    assert len(all_of_them) == 2 + 2 * (FACTS_IN_MEMORY + 4)
    assert len(office.ledger._cases[case].newest) == FACTS_IN_MEMORY
    for ledger in (office.ledger, another.ledger):
        state, recorded = ledger.read_on(case)
        assert [each.log_position for each in recorded] == [row.log_position for row in all_of_them]
        assert state.position == len(all_of_them)
        for after in (0, 3, len(all_of_them) - 1, len(all_of_them), len(all_of_them) + 5):
            assert [f.envelope.position for f in ledger.facts_after(case, after)] == list(
                range(after + 1, len(all_of_them) + 1)
            )


def test_a_library_once_given_out_does_not_change_under_its_reader(office: Office) -> None:
    before = office.ledger.library()
    person = before.person("p-bs-goodman-1")
    assert person is not None
    feed = ImportStaff(feed_sha256="0" * 64, people=(person.model_copy(update={"name": "Another Name"}),))
    office.ledger.submit_own(feed, DIRECTORY, OPERATOR, str(uuid4()))
    now, then = office.ledger.library().person("p-bs-goodman-1"), before.person("p-bs-goodman-1")
    assert now is not None
    assert then is not None
    assert (then.name, now.name) == (person.name, "Another Name")


def test_the_environment_of_the_process_cannot_choose_another_recorder(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSISTENCE_MODULE", "eventsourcing.popo")
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "y")
    ledger = Ledger(database.url("recorder"), SetClock())
    assert type(ledger.recorder).__name__ == "LedgerRecorder"
    assert ledger.recorder.datastore.enable_db_functions is False
    ledger.close()


def test_every_connection_of_a_ledger_gives_up_on_a_dead_server_and_goes_by_index(database: Database) -> None:
    ledger = Ledger(database.url("recorder"), SetClock(), pool_size=6)
    ledger.library()
    pool = ledger.recorder.datastore.pool
    pool.wait()
    asked = "select current_setting('application_name') || ' ' || current_setting('enable_seqscan') as told"
    with ExitStack() as held:
        connections = [held.enter_context(pool.connection()) for _ in range(6)]
        said = [row["told"] for conn in connections for row in conn.execute(asked).fetchall()]
    ledger.close()
    assert said == ["imprimatur-ledger off"] * 6


def renamed(office: Office, name: str) -> int:
    """One person's name in the directory, changed by this process; where the log says so."""
    person = office.ledger.library().person("p-bs-goodman-1")
    assert person is not None
    known_as = person.model_copy(update={"name": name})
    feed = ImportStaff(feed_sha256=sha256(name.encode()).hexdigest(), people=(known_as,))
    return office.ledger.submit_own(feed, DIRECTORY, OPERATOR, str(uuid4())).position


def name_in(ledger: Ledger) -> str:
    person = ledger.library().person("p-bs-goodman-1")
    assert person is not None
    return person.name


def test_what_a_ledger_changed_of_the_library_itself_it_does_not_read_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    read_on = LedgerRecorder.read_on

    def noted(recorder: LedgerRecorder, *asked: Any) -> tuple[list[Row], list[Row], Known | None]:
        own, shared, known = read_on(recorder, *asked)
        read.append(len(shared))
        return own, shared, known

    office.ledger.library()
    monkeypatch.setattr(LedgerRecorder, "read_on", noted)
    renamed(office, "Renamed Here")
    assert name_in(office.ledger) == "Renamed Here"
    assert sum(read) == 0


def test_what_another_changed_between_is_not_passed_over(office: Office, another: Office) -> None:
    registered = RegisterHrSystem(system="okta", token_sha256="0" * 64)
    assert office.ledger.submit_own(registered, stream_of("okta"), OPERATOR, str(uuid4())).facts
    renamed(another, "Renamed Elsewhere")
    # decided on what is in memory, which has not read of it and need not: it asks after nobody
    revoked = RevokeHrToken(system="okta")
    assert office.ledger.submit_own(revoked, stream_of("okta"), OPERATOR, str(uuid4())).facts
    assert name_in(office.ledger) == "Renamed Elsewhere"


A_STREAM = "directory-00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("case", ["account_creation", A_STREAM, "no_such_process"])
def test_a_process_has_many_cases_or_one_stream_and_never_both(office: Office, case: str) -> None:
    with pytest.raises(Malformed) as malformed:
        office.submit(a_request("nowhere"), case, "p-bm-durant")
    assert malformed.value.field == "case"
    assert malformed.value.would_pass


# refused attempts


def test_a_refused_attempt_stands_beside_the_case_with_the_clause_and_the_command(
    office: Office, database: Database, case: str
) -> None:
    submission = office.submission(approval(office, case), case, "p-bm-durant")
    answer = office.ledger.submit(submission)
    (noted,) = beside(database, case)
    assert answer.refusal is not None
    assert noted.fact["refused_by"] == list(answer.refusal.clauses) == ["PR-1"]
    assert noted.fact["because"] == answer.refusal.because
    assert noted.command == submission.model_dump(mode="json")
    assert (noted.correlation, noted.position) == (case, 1)
    assert state_of(office, case).position == 2


def test_one_person_is_noted_so_often_in_an_hour_on_all_cases_together(office: Office, database: Database) -> None:
    most = office.ledger.library().policy.settings.attempts_recorded_per_person_per_hour.value
    cases = [a_case() for _ in range(most + 5)]
    ids = [str(uuid4()) for _ in cases]
    first = [office.submit(ConfirmAdministration(), each, "p-ysc", id_) for each, id_ in zip(cases, ids, strict=True)]
    assert sum(len(beside(database, each)) for each in cases) == most
    again = [office.submit(ConfirmAdministration(), each, "p-ysc", id_) for each, id_ in zip(cases, ids, strict=True)]
    assert again == first
    assert suppressed(office, database, 1) == [(each, "person:p-ysc", 1) for each in cases[most:]]


def test_twenty_thousand_junk_messages_leave_the_limit_and_one_event_of_how_many_more(
    office: Office, database: Database, case: str
) -> None:
    most = office.ledger.library().policy.settings.attempts_recorded_per_case_per_hour.value
    before = state_of(office, case)
    for _ in range(200):
        office.ledger.refuse_unproven(case, "unknown", "there is no credential", times=100)
    office.ledger.count_malformed(case, 20_000)
    assert len(beside(database, case)) == most
    assert suppressed(office, database, 1) == [(case, "malformed", 20_000), (case, "unproven:unproven", 20_000 - most)]
    assert len(beside(database, case)) == most + 2
    assert office.ledger.close_tallies() == 0
    assert state_of(office, case) == before


def test_made_up_cases_share_one_stream(office: Office, database: Database) -> None:
    for case in (a_case(), a_case(), "nonsense", ""):
        office.ledger.refuse_unproven(case, "unknown", "there is no credential")
    assert len(beside(database, NO_CASE)) == 4


def suppressed(office: Office, database: Database, hours: int) -> list[tuple[str, str, int]]:
    """When the hour is over: the case, the sender and the count of each event that says how many were not noted."""
    assert isinstance(office.clock, SetClock)
    newest = log(database)[-1]["notification_id"]
    assert office.ledger.close_tallies() == 0
    office.clock.passes(hours=hours)
    office.ledger.close_tallies()
    rows = log(database, "notification_id > %(newest)s", newest=newest)
    assert {row["topic"] for row in rows} == {"attempts.AttemptsSuppressed"}
    facts = [(row["correlation"], json.loads(row["state"])["fact"]) for row in rows]
    return sorted(((case, fact["by"], fact["count"]) for case, fact in facts), key=lambda each: each[1])
