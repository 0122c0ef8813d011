"""Random orders of what patrons, staff and time do: consents, pictures, uses, revocations, holds and erasures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, cast

from hypothesis import strategies as st

from domain.facts import Fact, Malformed, Refused
from domain.legal_hold import Over
from domain.may_use import MayUse
from domain.pages import PAGES
from domain.photo_permission_messages import IdentifyPerson, Person, SetPictureAside, TakeBasis
from domain.revocation import BEFORE_ACCEPTANCE
from domain.revocation import Stage as RevocationStage
from domain.revocation_messages import ConfirmRemoval, DeclineRevocation, WhyNot
from domain.uses import EndUse
from tests.domain.entrusted import ERASURE, Entrusted
from tests.domain.patrons import (
    CLERK,
    COORDINATOR,
    DIRECTOR,
    MANAGER,
    STAFF,
    case_of,
    consent,
    patron,
    picture,
    revocation,
)
from tests.domain.world import DURANT, sealed

PATRONS = (1, 2, 3)
# as a step or two of each makes it likely enough to come where it matters
# as a step or two of each makes it likely enough to come where it matters
STEPS = (
    "use", "use", "use", "use", "pictured", "pictured", "give", "give", "take", "ask", "check", "check", "accept",
    "decline", "remove", "remove", "end", "look", "time", "time", "consent", "consent", "picture_revoked", "revoke",
    "revoke", "sleep", "sleep", "recognise", "recognise", "erase", "erase", "ask_erasure", "look_at_erasure", "agree",
    "agree", "refuse", "destroy", "hold", "hold", "release", "release", "months",
)  # fmt: skip
Step = tuple[str, int, int]


def thrown(seed: int, steps: int) -> list[Step]:
    """By dice of their own: chosen one by one, most would be the same few."""
    dice = Random(seed)
    return [(dice.choice(STEPS), dice.randrange(60), dice.randrange(60)) for _ in range(steps)]


# a failure shrinks to the fewest steps
orders = st.builds(thrown, st.integers(0, 10**9), st.integers(10, 40))


class Chance(Entrusted):
    """Two pictures, on consents that end soon; a minor who soon comes of age; then anything."""

    def __init__(self) -> None:
        super().__init__()
        self.reached: Counter[str] = Counter()
        self.answers: list[tuple[int, datetime, str, MayUse]] = []
        self.consents = self.pictures = self.revocations = self.erasures = 0
        for who in PATRONS[:2]:
            self.another_consent(who, until=(self.at + timedelta(days=who * 20)).date())
        self.another_consent(PATRONS[2], "guardian", of_age_in=date(2026, 4, 1))
        self.another_picture(PATRONS[0], PATRONS[2])
        self.is_shown(PATRONS[1])

    # what may happen

    def step(self, what: str, a: int, b: int) -> None:
        before = len(self.log)
        try:
            self.take_step(what, 1 + a % self.pictures, 1 + b % len(PATRONS), 1 + (a + b) % self.consents)
        except (Refused, Malformed) as no:
            self.reached[str(no)] += 1
        self.reached.update(type(each.fact).__name__ for each in self.log[before:])
        for each in self.every_picture()[-2:]:
            self.answers.append((len(self.log), self.at, each, self.may_use(each, DURANT)))

    def take_step(self, what: str, a: int, b: int, c: int) -> Any:
        """`a`: a picture; `b`: a patron; `c`: a consent."""
        steps: dict[str, Callable[[], Any]] = {
            "consent": lambda: self.another_consent(b),
            "pictured": lambda: self.is_shown(b),
            "recognise": lambda: self.recognises(a, b),
            "give": lambda: self.gives(a, b, self.one_of_theirs(b) if c % 3 else consent(c)),
            "take": lambda: self.says(STAFF, TakeBasis(patron=patron(b), reason=sealed()), picture(a)),
            "use": lambda: self.uses(picture(a), hiding=() if c % 3 else (patron(PATRONS[2]),)),
            "end": lambda: self.another_ends_them(picture(a)),
            "ask": lambda: self.asks(self.another_revocation(), who=b),
            "check": lambda: self.is_known(b, self.one_of_theirs(b) if c % 3 else consent(c)),
            "accept": lambda: self.accepts(self.revocations),
            "decline": lambda: self.declines(self.revocations),
            "revoke": lambda: self.revokes(self.another_revocation(), b, consents=(self.one_of_theirs(b),)),
            "picture_revoked": lambda: self.revokes(self.another_revocation(), b, pictures=(picture(a),)),
            "remove": self.one_use_of_each_is_removed,
            "ask_erasure": lambda: self.asks_erasure(self.another_erasure(), b),
            "look_at_erasure": lambda: self.looks(self.erasure_at_hand()),
            "agree": lambda: self.agrees(self.erasure_at_hand(), self.someone(a, c)),
            "refuse": lambda: self.refuses_erasure(self.erasure_at_hand(), self.someone(a, c)),
            "destroy": lambda: self.destroys(self.erasure_at_hand()),
            "erase": lambda: self.goes_towards_an_erasure(b, how_far=a + c - 1),
            "hold": lambda: self.places_a_hold(a, b, c),
            "release": self.releases_every_hold,
            "look": self.everything_is_looked_at,
            "time": lambda: self.time_passes_everywhere(days=3),
            "months": lambda: self.time_passes_everywhere(days=32),
            "sleep": lambda: self.sleeps(days=8),
        }
        return steps[what]()

    def sleeps(self, **by: float) -> None:
        self.at += timedelta(**by)

    def another_consent(self, who: int, form: str = "adult", **more: Any) -> None:
        self.consents += 1
        self.has_consent(self.consents, form, who, **more)

    def another_picture(self, who: int, *others: int) -> None:
        self.pictures += 1
        self.has_picture(self.pictures, who, *others)
        self.gives(self.pictures, who, self.one_of_theirs(who))

    def is_shown(self, who: int) -> None:
        self.another_picture(who)
        self.uses(picture(self.pictures))

    def one_of_theirs(self, who: int) -> str:
        """The newest consent of this patron; another's where they have none."""
        theirs = [each for each in self.library().on_record_of(patron(who)) if each.startswith("consent")]
        return theirs[-1] if theirs else consent(1)

    def someone(self, a: int, c: int) -> str:
        """Whoever is asked, or who should not be."""
        waiting = self.erasure(self.erasure_at_hand()).waiting
        return waiting.persons[0] if waiting and (a + c) % 3 else (MANAGER, DIRECTOR)[c % 2]

    def erasure_at_hand(self) -> int:
        """The newest that is not over."""
        every = range(1, self.erasures + 1)
        return max((nth for nth in every if self.is_open(self.erasure(nth).case)), default=1)

    def goes_towards_an_erasure(self, who: int, how_far: int) -> None:
        self.leaves_nothing_open(who)
        self.asks_erasure(nth := self.another_erasure(), who)
        ways: tuple[Callable[[], None], ...] = (
            lambda: self.looks(nth), lambda: self.agrees(nth, COORDINATOR), lambda: self.agrees(nth, DIRECTOR),
            lambda: self.looks(nth), lambda: self.destroys(nth),
        )  # fmt: skip
        for go in ways[:how_far]:
            go()

    def recognises(self, nth: int, who: int) -> None:
        someone = Person(patron=patron(who), who=sealed())
        self.says(STAFF, IdentifyPerson(person=someone), picture(nth))

    def places_a_hold(self, a: int, b: int, c: int) -> None:
        over, of = ((Over.ALL, ""), (Over.PERSON, patron(b)), (Over.CASE, consent(c)))[c % 3]
        self.holds(over, of)
        if a % 2:
            self.everything_is_looked_at()

    def releases_every_hold(self) -> None:
        for each in self.library().legal_holds():
            self.releases(each.hold)
        self.everything_is_looked_at()

    def is_known(self, who: int, consent_id: str) -> None:
        """Who asks, and for which consent; which is told so."""
        if self.state(revocation(self.revocations)).stage is not RevocationStage.IDENTITY_CHECK:
            self.asks(self.another_revocation(), who)
        self.checks(self.revocations, who, consents=(consent_id,))
        self.looks_again(consent_id)

    def declines(self, nth: int) -> None:
        self.says(CLERK, DeclineRevocation(why=WhyNot.NOT_IDENTIFIED, reason=sealed()), revocation(nth))

    def another_revocation(self) -> int:
        self.revocations += 1
        return self.revocations

    def another_erasure(self) -> int:
        self.erasures += 1
        return self.erasures

    def one_use_of_each_is_removed(self) -> None:
        for each in self.every_revocation():
            self.removes(each, 1)

    def removes(self, case: str, most: int) -> None:
        for removal in self.state(case).open_removals()[:most]:
            self.says(COORDINATOR, ConfirmRemoval(use=removal.use), case)

    def uses_end(self, content: str, most: int) -> None:
        for each in self.library().uses_of(contents=(content,))[:most]:
            self.says(STAFF, EndUse(use=each.id), "uses")

    def another_ends_them(self, content: str) -> None:
        self.uses_end(content, 100)
        self.everything_is_looked_at()

    def leaves_nothing_open(self, who: int) -> None:
        """What has to be over before someone can be forgotten: their revocations, pictures and consents."""
        for nth, case in enumerate(self.every_revocation(), start=1):
            if self.state(case).stage in BEFORE_ACCEPTANCE:
                self.declines(nth)
            self.removes(case, 100)
        for each in filter(self.is_open, self.every_picture()):
            if patron(who) in self.concerned_in(each):
                self.uses_end(each, 100)
                self.says(STAFF, SetPictureAside(reason=sealed()), each)
        for each in filter(self.is_open, self.every_consent()):
            if patron(who) in self.concerned_in(each):
                with suppress(Refused):
                    self.revokes(self.another_revocation(), who, consents=(each,))
        self.everything_is_looked_at()

    def every_consent(self) -> list[str]:
        return [consent(nth) for nth in range(1, self.consents + 1)]

    def every_picture(self) -> list[str]:
        return [picture(nth) for nth in range(1, self.pictures + 1)]

    def every_revocation(self) -> list[str]:
        return [revocation(nth) for nth in range(1, self.revocations + 1)]

    def everything(self) -> list[str]:
        erasures = [case_of(ERASURE, nth) for nth in range(1, self.erasures + 1)]
        every = [*self.every_consent(), *self.every_picture(), *self.every_revocation(), *erasures]
        return [each for each in every if each in self.streams]

    def everything_is_looked_at(self) -> None:
        for each in self.everything():
            self.looks_again(each)

    def time_passes_everywhere(self, **by: float) -> None:
        self.sleeps(**by)
        for each in self.everything():
            self.time_passes(each)

    # what it came to

    def came_to(self) -> set[str]:
        """Every stage of every case, reckoned from its facts one by one; every fact and every refusal."""
        return set(self.reached) | {f"{case.partition('-')[0]}: {stage}" for case, stage in self.stages()}

    def stages(self) -> set[tuple[str, str]]:
        found = set()
        for case in self.everything():
            page = PAGES[case.partition("-")[0]]
            state = cast(Any, page.initial(case))
            for each in self.streams.get(case, []):
                state = cast(Any, page.fold(state, [each]))
                found.add((case, str(state.stage)))
        return found

    def facts(self, kind: type[Fact]) -> list[Any]:
        return [each for each in self.log if isinstance(each.fact, kind)]


def lived(order: list[tuple[str, int, int]]) -> Chance:
    world = Chance()
    for what, a, b in order:
        world.step(what, a, b)
    return world
