"""Whatever comes in whatever order: no use after a revocation was accepted, never two bases, and what is answered of
the past is what was answered then."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.consent_messages import ConsentActive
from domain.facts import Refused
from domain.in_force import PatronForgotten
from domain.library import Library, Register
from domain.may_use import MayUse, may_use
from domain.patron_basis import OfUse, UseBegun
from domain.photo_permission_messages import TakeBasis
from domain.revocation_messages import ConfirmRemoval, RevocationAccepted
from domain.uses import EndUse
from tests.domain.patrons import COORDINATOR, STAFF, Patrons, consent, patron, picture, revocation
from tests.domain.world import DURANT, sealed

PATRONS, PICTURES, CONSENTS = (1, 2), (1, 2), (1, 2, 3, 4)
STEPS = (
    "use", "use", "use", "give", "give", "take", "ask", "check", "accept", "accept", "remove", "end", "look", "time",
    "consent", "picture_revoked", "forget", "revoke", "revoke", "sleep",
)  # fmt: skip


class Chance(Patrons):
    """Two pictures, one of each patron and one of both, on consents that end soon; then whatever comes."""

    def __init__(self) -> None:
        super().__init__()
        for nth in CONSENTS[:2]:
            self.has_consent(nth, who=nth, until=(self.at + timedelta(days=nth * 20)).date())
        self.has_picture(1, *PATRONS)
        self.has_picture(2, PATRONS[0])
        for nth, who in ((1, 1), (1, 2), (2, 1)):
            self.gives(nth, who, consent(who))
        self.answers: list[tuple[int, datetime, str, MayUse]] = []
        self.made_revocations = 0

    def step(self, what: str, a: int, b: int) -> None:
        with suppress(Refused):
            self.take_step(what, 1 + a % 2, 1 + b % 2, 1 + b % 4)
        for nth in PICTURES:
            self.answers.append((len(self.log), self.at, picture(nth), self.may_use(picture(nth), DURANT)))

    def take_step(self, what: str, a: int, b: int, c: int) -> Any:
        match what:
            case "use":
                return self.uses(picture(a), hiding=(patron(b),) if c == 4 else ())
            case "give":
                return self.gives(a, b, consent(c))
            case "take":
                return self.says(STAFF, TakeBasis(patron=patron(b), reason=sealed()), picture(a))
            case "consent":
                return self.has_consent(2 + a, who=b) if self.state(consent(2 + a)).position == 0 else None
            case "sleep":
                self.at += timedelta(days=8)
                return None
            case "revoke":
                self.made_revocations += 1
                return self.revokes(self.made_revocations, b, consents=(consent(b),))
            case "ask":
                self.made_revocations += 1
                return self.asks(self.made_revocations, who=b)
            case "check":
                return self.checks(self.made_revocations, who=b, consents=(consent(c),))
            case "picture_revoked":
                self.made_revocations += 1
                return self.revokes(self.made_revocations, b, pictures=(picture(a),))
            case "accept":
                return self.accepts(self.made_revocations)
            case "remove":
                for removal in self.state(revocation(self.made_revocations)).open_removals()[:1]:
                    self.says(COORDINATOR, ConfirmRemoval(use=removal.use), revocation(self.made_revocations))
                return None
            case "forget":
                return self.record(f"erasure:{b}", [Forgotten(patron=patron(b))]) if c < 3 else None
            case "end":
                standing = self.library().uses_of(contents=(picture(a),))
                return [self.says(STAFF, EndUse(use=each.id), "uses") for each in standing[:1]]
            case "look":
                every = [*map(consent, CONSENTS), *map(picture, PICTURES), *map(revocation, range(1, 4))]
                return [self.looks_again(each) for each in every]
            case _:
                every = [*map(consent, CONSENTS), *map(revocation, range(1, 4))]
                return [self.time_passes(each, days=3) for each in every]


class Forgotten(PatronForgotten, kind="tests.Forgotten"):
    """As an erasure tells it: seldom, as nothing of theirs is used afterwards."""


orders = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3), st.integers(0, 3)), min_size=10, max_size=30)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lived(order: list[tuple[str, int, int]]) -> Chance:
    world = Chance()
    for what, a, b in order:
        world.step(what, a, b)
    return world


@QUICK
@given(orders)
@example([("forget", 0, 0), ("use", 1, 1)])
@example([("picture_revoked", 1, 0), ("use", 1, 1)])
def test_nothing_is_used_after_a_revocation_was_accepted_or_of_the_forgotten_and_nobody_ever_has_two_bases(
    order: list[tuple[str, int, int]],
) -> None:
    world = lived(order)
    revoked: set[str] = set()
    forgotten: set[str] = set()
    withdrawn: dict[tuple[str, str], int] = {}
    given_at: dict[str, int] = {}
    until: dict[str, datetime] = {}
    for nth, recorded in enumerate(world.log):
        match recorded.fact:
            case RevocationAccepted(consents=consents, pictures=pictures, patron=who):
                revoked |= set(consents)
                withdrawn |= {(each, who): nth for each in pictures}
            case UseBegun(bases=bases, used=used):
                assert not revoked & {each.consent for each in bases}
                for each in bases:
                    assert withdrawn.get((used, each.patron), -1) < given_at[each.consent]
                    assert recorded.envelope.at < until[each.consent]
                assert len({each.patron for each in bases}) == len(bases)
                assert not forgotten & {each.patron for each in bases}
            case Forgotten(patron=who):
                forgotten.add(who)
            case ConsentActive(consent=id_, until=end) if end is not None:
                given_at[id_], until[id_] = nth, end
            case _:
                pass
        for content in world.register.patrons.contents.values():
            patrons = [each.patron for each in content.bases]
            assert len(set(patrons)) == len(patrons)


@QUICK
@given(orders)
def test_what_is_answered_of_the_past_is_what_was_answered_then(order: list[tuple[str, int, int]]) -> None:
    world = lived(order)
    register, read = Register(), 0
    for position, at, content, answer in world.answers:
        for recorded in world.log[read:position]:
            if recorded.envelope.touches:
                register.evolve(recorded.envelope, recorded.fact, recorded.log_position)
        read = position
        assert may_use(content, DURANT, Library(register, at)) == answer


@QUICK
@given(orders)
def test_every_accepted_revocation_finds_every_use_that_stands(order: list[tuple[str, int, int]]) -> None:
    """None that rests on what was revoked is standing without a task that is open."""
    world = lived(order)
    for nth in range(1, world.made_revocations + 1):
        case = world.state(revocation(nth))
        if not case.accepted:
            continue
        standing = {each.id for each in world.library().uses_of(case.consents) if rests_on(each.bases, case.consents)}
        assert standing <= {each.use for each in case.open_removals()}


def rests_on(bases: Any, consents: tuple[str, ...]) -> bool:
    return any(each.consent in consents for each in bases)


def test_chance_meets_uses_and_revocations() -> None:
    """So that the properties above are about something."""
    order = [("use", 0, 0), ("ask", 0, 0), ("check", 0, 0), ("accept", 0, 0)]
    world = lived(order)
    kinds = [type(each.fact) for each in world.log]
    assert sum(issubclass(kind, OfUse) for kind in kinds) == 1
    assert RevocationAccepted in kinds
