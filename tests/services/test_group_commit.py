"""Decisions of several threads that wait for the log go into it together, each judged and answered for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from threading import Event
from time import monotonic, sleep

import pytest
from psycopg.rows import TupleRow

from services.group_commit import MOST_AT_ONCE, ON_THE_WAY, GroupCommit
from services.ledger import Answer
from services.recorder import ToRecord
from services.submissions import Submission
from tests.system import Database, Office, a_case, a_request

THREADS = 8
LONG_ENOUGH = 20.0
ENDLESS = 50


class Log:
    """Takes what it is given once it is let go, and remembers what came together. `ENDLESS` is on its way until all
    else is done, so that the others have one way to the log and not two, and it is told who goes with whom."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.let_go, self.ended = Event(), Event()

    def write(self, asked: Sequence[int]) -> list[int]:
        self.groups.append(list(asked))
        assert (self.ended if asked == [ENDLESS] else self.let_go).wait(LONG_ENOUGH)
        if 0 in asked:
            raise ValueError("nothing may be asked of nought")
        return [100 // each for each in asked]


def waited_for(sign: Callable[[], bool]) -> None:
    until = monotonic() + LONG_ENOUGH
    while not sign():
        assert monotonic() < until
        sleep(0.001)


def asked_while_two_are_written(log: Log, numbers: Sequence[int]) -> list[Future[int]]:
    """The first two go alone, and the others wait until the second of them is written."""
    together = GroupCommit(log.write)
    with ThreadPoolExecutor(1 + len(numbers)) as threads:
        futures: list[Future[int]] = []
        for number in (ENDLESS, *numbers):
            futures.append(threads.submit(together.ask, number))
            # each is written or waits before the next one comes
            waited_for(lambda: len(log.groups) + len(together._waiting) == len(futures))
        log.let_go.set()
        waited_for(lambda: all(each.done() for each in futures[1:]))
        log.ended.set()
    assert futures[0].result() == 100 // ENDLESS
    return futures[1:]


def test_what_comes_while_two_are_written_goes_together_in_the_order_in_which_it_came() -> None:
    log = Log()
    futures = asked_while_two_are_written(log, [1, 2, 5, 10, 20])
    assert [each.result() for each in futures] == [100, 50, 20, 10, 5]
    assert log.groups == [[ENDLESS], [1], [2, 5, 10, 20]]


def test_an_error_meets_only_the_one_that_made_it_and_the_others_get_their_answers() -> None:
    log = Log()
    futures = asked_while_two_are_written(log, [1, 2, 0, 10])
    assert [futures[nth].result() for nth in (0, 1, 3)] == [100, 50, 10]
    assert isinstance(futures[2].exception(), ValueError)
    assert log.groups[:3] == [[ENDLESS], [1], [2, 0, 10]]


def test_no_group_is_longer_than_others_should_wait_for_and_everyone_has_a_turn() -> None:
    log, numbers = Log(), list(range(1, 2 * MOST_AT_ONCE + 3))
    futures = asked_while_two_are_written(log, numbers)
    assert [each.result() for each in futures] == [100 // each for each in numbers]
    assert [len(each) for each in log.groups] == [1, 1, MOST_AT_ONCE, MOST_AT_ONCE, 1]


def test_a_writer_alone_waits_for_nobody_and_the_next_one_neither() -> None:
    log = Log()
    log.let_go.set()
    together = GroupCommit(log.write)
    assert [together.ask(each) for each in (1, 2, 4)] == [100, 50, 25]
    with pytest.raises(ValueError, match="nought"):
        together.ask(0)
    # whoever is done gives the place back, an error too: without one the next would wait for ever
    assert together._free == ON_THE_WAY
    assert together.ask(5) == 20
    assert log.groups == [[1], [2], [4], [0], [5]]


# -- on PostgreSQL


def submitted_together(office: Office, submissions: Sequence[Submission]) -> list[Answer]:
    """All of them wait while somebody else holds the log still, and all but the first for the first."""
    groups: list[int] = []
    together = office.ledger.recorder._together
    write = together._write

    def counted(group: Sequence[ToRecord]) -> Sequence[TupleRow]:
        groups.append(len(group))
        return write(group)

    together._write, together._free = counted, 1
    try:
        with ThreadPoolExecutor(len(submissions)) as threads:
            with office.ledger.recorder.holding_the_lock():
                futures = [threads.submit(office.ledger.submit, each) for each in submissions]
                waited_for(lambda: groups == [1] and len(together._waiting) == len(submissions) - 1)
            answers = [each.result(LONG_ENOUGH) for each in futures]
    finally:
        together._write, together._free = write, ON_THE_WAY
    assert groups[:2] == [1, len(submissions) - 1]
    return answers


def requests(office: Office, *handles: str) -> list[Submission]:
    return [office.submission(a_request(each), a_case(), "p-bm-durant") for each in handles]


def test_decisions_of_several_threads_share_a_transaction_and_stand_in_the_log_without_a_gap(
    office: Office, database: Database
) -> None:
    answers = submitted_together(office, requests(office, *(f"together{nth}" for nth in range(THREADS))))
    assert [answer.refusal for answer in answers] == [None] * THREADS
    positions = sorted(fact.log_position for answer in answers for fact in answer.facts)
    assert all(after == before + 1 for before, after in pairwise(positions))
    assert database.transactions_and_commands(positions[0], positions[-1]) == (2, THREADS)


def test_of_two_claims_on_one_handle_in_one_group_the_first_is_recorded_and_the_second_refused(office: Office) -> None:
    answers = submitted_together(office, requests(office, "apart1", "one.of.two", "@One.Of.Two", "apart2"))
    refused = [answer for answer in answers if answer.refusal]
    assert len(refused) == 1
    assert refused[0].refusal is not None
    assert "is open or requested already" in refused[0].refusal.because
    assert answers[0].facts
    assert answers[3].facts


def test_the_same_command_twice_in_one_group_is_recorded_once_and_answered_twice(office: Office) -> None:
    (one,) = requests(office, "twice.in.one")
    apart, left, right = submitted_together(office, [*requests(office, "apart3"), one, one])
    assert apart.facts
    assert [each.envelope.event_id for each in left.facts] == [each.envelope.event_id for each in right.facts]
    assert left.position == right.position > 0
