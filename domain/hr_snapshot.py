"""What a whole file changes. It is everyone a system knows, so who is its own and is missing has left.

A cut-off file stops and asks; a row that cannot be read keeps its person as they are (PR-4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from domain.clauses import PR_4
from domain.directory import OfPerson, Person, PersonChanged, PersonJoined, PersonLeft, PersonMoved, PersonReturned
from domain.facts import Fact, Refused
from domain.hr_difference import difference, has_gone, leads_back
from domain.hr_feed_messages import HeldRow, QuarantineCleared, Quarantined, SnapshotTaken, SourceSet, TakeSnapshot

if TYPE_CHECKING:
    from domain.library import Library


def nobody_is_named_twice(feed: TakeSnapshot) -> None:
    seen: set[str] = set()
    for person in feed.people:
        if person.id in seen:
            raise Refused(PR_4, f"the feed names {person.id} twice", "one row per person id")
        seen.add(person.id)


def not_older_than_the_last(feed: TakeSnapshot, library: Library) -> None:
    last = library.hr(f"hr:{feed.system}").system(feed.system).snapshot
    if last and last.as_of and feed.as_of and feed.as_of < last.as_of:
        raise Refused(PR_4, f"a file of {last.as_of:%Y-%m-%d %H:%M} was applied already", "the newest file")


def not_more_leavers_than_usual(feed: TakeSnapshot, leavers: list[Person], library: Library) -> None:
    """A cut-off file must not end half the library's accounts."""
    most = library.policy.settings.feed_leavers_most_percent.value
    of_it = (each for each in library.people() if library.source_of(each.id) == feed.system)
    own = sum(not has_gone(each, library.today) for each in of_it)
    if leavers and not feed.accept_leavers and len(leavers) * 100 > most * own:
        raise Refused(
            PR_4,
            f"{len(leavers)} of {own} people are missing from the file, more than {most} percent: "
            + ", ".join(each.id for each in leavers[:10]),
            "the whole file; or --accept-leavers, if they all left",
        )


def who_is_missing_from(feed: TakeSnapshot, library: Library) -> list[Person]:
    """Only the feed's own people; nobody while a row does not even say whose it is."""
    if any(not row.person for row in feed.held):
        return []
    named = {person.id for person in feed.people} | {row.person for row in feed.held}
    return [
        each
        for each in library.people()
        if not has_gone(each, library.today) and each.id not in named and library.source_of(each.id) == feed.system
    ]


def what_a_snapshot_changes(feed: TakeSnapshot, leavers: list[Person], library: Library) -> Iterator[Fact]:
    differences, waiting = of_everyone(feed, library)
    differences += [PersonLeft(person=each.model_copy(update={"active": False})) for each in leavers]
    rows = [*feed.held, *waiting]
    quarantine = list(held_and_cleared(feed, rows, library))
    last = library.hr(f"hr:{feed.system}").system(feed.system).snapshot
    if not differences and not quarantine and last and last.feed_sha256 == feed.feed_sha256:
        return
    for each in differences:
        yield each
        if isinstance(each, PersonJoined):
            yield SourceSet(system=feed.system, person=each.person.id)
    yield from quarantine
    yield summary_of(feed, differences, len(rows))


def of_everyone(feed: TakeSnapshot, library: Library) -> tuple[list[OfPerson], list[HeldRow]]:
    """The differences of the feed's own people, and the rows that have to wait although they can be read."""
    differences: list[OfPerson] = []
    waiting: list[HeldRow] = []
    changed = {person.id: person for person in feed.people}
    for said in feed.people:
        known = library.person(said.id)
        if known and library.source_of(said.id) != feed.system:
            waiting.append(of_another(said, library.source_of(said.id)))
            continue
        if said.supervisor and leads_back(said.id, said.supervisor, library, changed):
            waiting.append(below_already(said))
            said = changed[said.id] = said.model_copy(update={"supervisor": None})
        if known is None:
            differences.append(PersonJoined(person=said))
        elif known != said:
            differences.append(difference(known, said, library.today))
    return differences, waiting


def of_another(said: Person, source: str) -> HeldRow:
    because = f"{said.id} is fed by {source}, and a person has one source of record"
    return waiting_row(said, because, "`hr assign`, if this feed takes over")


def below_already(said: Person) -> HeldRow:
    because = f"the manager {said.supervisor} is below {said.id} already"
    return waiting_row(said, because, "a manager who is not below them")


def waiting_row(said: Person, problem: str, would_pass: str) -> HeldRow:
    return HeldRow(item=f"person {said.id}", person=said.id, row={}, problem=problem, would_pass=would_pass)


def held_and_cleared(feed: TakeSnapshot, rows: Iterable[HeldRow], library: Library) -> Iterator[Fact]:
    """A file says everything: what it holds no longer is mended or gone, and waits no more."""
    before = {each.item: each for each in library.hr(f"hr:{feed.system}").waiting(feed.system)}
    now = {row.item: Quarantined(system=feed.system, **row.model_dump()) for row in rows}
    yield from (fact for item, fact in now.items() if before.get(item) != fact)
    gone = [item for item in before if item not in now and not item.startswith("user:")]
    yield from (QuarantineCleared(system=feed.system, item=item) for item in gone)


def summary_of(feed: TakeSnapshot, differences: list[OfPerson], held: int) -> SnapshotTaken:
    def count(*kinds: type[OfPerson]) -> int:
        return sum(isinstance(each, kinds) for each in differences)

    named = {person.id for person in feed.people}
    return SnapshotTaken(
        system=feed.system,
        feed_sha256=feed.feed_sha256,
        as_of=feed.as_of,
        joined=count(PersonJoined),
        changed=count(PersonChanged, PersonMoved, PersonReturned),
        left=count(PersonLeft),
        unchanged=len(feed.people) - sum(each.person.id in named for each in differences),
        held=held,
    )
