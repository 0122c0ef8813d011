"""Whatever comes in whatever order: no use after a revocation was accepted, never two bases, what is answered of the
past is what was answered then; nobody is erased under a hold, and of whoever was erased nothing can be opened.

What is asserted is reckoned here from the plain history, without the domain's own rules. At the end the run shows that
it came to every stage and refusal that matters: a property of histories that never happened would hold too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import HealthCheck, example, given, settings

from domain.consent_messages import ConsentActive, ConsentRenewed
from domain.erasure_messages import DestructionBegun, ErasureAgreed, ErasureAsked, PatronErased
from domain.facts import Recorded, State
from domain.legal_hold import HoldPlaced, HoldReleased
from domain.library import Library, Register
from domain.may_use import may_use
from domain.pages import PAGES
from domain.patron_basis import BasisGiven, BasisTaken, ConsentFellDue, ConsentOver, UseBegun
from domain.revocation_messages import RevocationAccepted
from services.seal import ERASED
from tests.domain.chance import Chance, lived, orders
from tests.domain.world import DURANT

Order = list[tuple[str, int, int]]
REACHED: set[str] = set()
ERASED_THEN_USED = [("erase", 1, 1), ("destroy", 0, 0), ("use", 0, 1), ("use", 1, 0), ("recognise", 0, 1)]
HELD = [("erase", 0, 0), ("hold", 1, 1), ("agree", 0, 0), ("look", 0, 0), ("release", 0, 0), ("look_at_erasure", 0, 0)]
HELD_LATE = [("erase", 1, 0), ("hold", 1, 1), ("look_at_erasure", 0, 0), ("destroy", 0, 0)]
ANOTHER_GOES_ON = [("erase", 1, 4), ("destroy", 0, 0), ("consent", 0, 0), ("pictured", 0, 0), ("revoke", 0, 0)]
RECOGNISED_LATER = [("recognise", 1, 2), ("erase", 3, 2), ("destroy", 0, 0)]
ENDED_ELSEWHERE = [("revoke", 0, 1), ("end", 1, 0), ("look", 0, 0)]


@settings(max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(orders)
@example(ERASED_THEN_USED)
@example([("picture_revoked", 1, 0), ("use", 1, 1)])
@example(HELD)
@example(HELD_LATE)
@example(ANOTHER_GOES_ON)
@example(ENDED_ELSEWHERE)
@example(RECOGNISED_LATER)
def lives(order: Order) -> None:
    world = lived(order)
    nothing_was_used_without_the_one_basis_that_stood(world)
    every_answer_of_the_past_is_what_was_answered_then(world)
    every_accepted_revocation_found_every_use_that_stands(world)
    nobody_was_erased_against_a_hold_or_an_open_case_or_without_two_others(world)
    of_the_erased_nothing_opens_and_of_all_others_everything(world)
    everything_folds_and_nothing_stands_in_clear(world)
    REACHED.update(world.came_to())


def test_no_order_of_consents_uses_revocations_and_erasures_does_what_must_not_be() -> None:
    lives()
    assert [each for each in sorted(EVERY_STAGE | EVERY_FACT) if each not in REACHED] == []
    assert [each for each in EVERY_REFUSAL if not any(each in found for found in REACHED)] == []


EVERY_STAGE = {
    *(f"consent: {each}" for each in ("recorded", "active", "revocation_asked", "revoking", "revoked")),
    *(f"consent: {each}" for each in ("expired", "renewal_due")),
    *(f"photo_permission: {each}" for each in ("blocked", "partly", "cleared", "set_aside")),
    *(f"revocation: {each}" for each in ("identity_check", "acceptance", "removing", "completed", "declined")),
    *(f"erasure: {each}" for each in ("looking", "held", "first_decision", "second_decision", "agreed", "destroying")),
    *(f"erasure: {each}" for each in ("erased", "refused", "expired")),
}
EVERY_FACT = {
    "UseRecorded", "UseEnded", "RemovalAsked", "RemovalConfirmed", "UseGone", "PersonIdentified", "PermissionGiven",
    "PermissionTaken", "HoldPlaced", "HoldReleased", "ErasureHeld", "LookedForAgain",
}  # fmt: skip
EVERY_REFUSAL = (
    "; that was accepted in", "revoked the use of this content", "which is expired", "whose term is over",
    "has no basis", "has a basis,", "was revoked before", "is being revoked", "is not a consent of patron",
    "a legal hold stands", "their erasure was asked for already", "does not follow held", "nothing more is kept",
    "asked for this or edited it", "may decide on erasure",
)  # fmt: skip


def nothing_was_used_without_the_one_basis_that_stood(world: Chance) -> None:
    revoked: set[str] = set()
    over: set[str] = set()
    erased: set[str] = set()
    withdrawn: dict[tuple[str, str], int] = {}
    given_at: dict[str, int] = {}
    until: dict[str, datetime] = {}
    bases: dict[tuple[str, str], str] = {}
    for nth, recorded in enumerate(world.log):
        match recorded.fact:
            case RevocationAccepted(consents=consents, pictures=pictures, patron=who):
                revoked |= set(consents)
                withdrawn |= {(each, who): nth for each in pictures}
            case UseBegun(bases=rested_on, used=used):
                assert not {each.consent for each in rested_on} & (revoked | over)
                for each in rested_on:
                    assert withdrawn.get((used, each.patron), -1) < given_at[each.consent]
                    assert recorded.envelope.at < until[each.consent]
                    assert bases[used, each.patron] == each.consent
                assert len({each.patron for each in rested_on}) == len(rested_on)
                assert not erased & {each.patron for each in rested_on}
            case PatronErased(patron=who):
                erased.add(who)
            case ConsentActive(consent=id_, until=end) | ConsentRenewed(consent=id_, until=end) if end is not None:
                given_at[id_], until[id_] = nth, end
                over.discard(id_)
            case ConsentOver(consent=id_) | ConsentFellDue(consent=id_):
                over.add(id_)
            case BasisGiven(picture=id_, patron=who, consent=consent):
                assert (id_, who) not in bases
                bases[id_, who] = consent
            case BasisTaken(picture=id_, patron=who):
                del bases[id_, who]
            case _:
                pass
    for content in world.register.patrons.contents.values():
        assert [(each.patron, each.consent) for each in content.bases] == [
            (who, consent) for (id_, who), consent in bases.items() if id_ == content.id
        ]


def every_answer_of_the_past_is_what_was_answered_then(world: Chance) -> None:
    register, read = Register(), 0
    for position, at, content, answer in world.answers:
        for recorded in world.log[read:position]:
            if recorded.envelope.touches:
                register.evolve(recorded.envelope, recorded.fact, recorded.log_position)
        read = position
        assert may_use(content, DURANT, Library(register, at)) == answer


def every_accepted_revocation_found_every_use_that_stands(world: Chance) -> None:
    """None that rests on what was revoked is standing without a task that is open."""
    for case in map(world.state, world.every_revocation()):
        if not case.accepted:
            continue
        standing = {each.id for each in world.library().uses_of(case.consents) if rests_on(each.bases, case.consents)}
        assert standing <= {each.use for each in case.open_removals()}


def rests_on(bases: Any, consents: tuple[str, ...]) -> bool:
    return any(each.consent in consents for each in bases)


def nobody_was_erased_against_a_hold_or_an_open_case_or_without_two_others(world: Chance) -> None:
    holds: dict[str, HoldPlaced] = {}
    asked: dict[str, ErasureAsked] = {}
    begun: set[str] = set()
    for nth, recorded in enumerate(world.log):
        case = recorded.envelope.case
        match recorded.fact:
            case HoldPlaced(hold=hold) as placed:
                holds[hold] = placed
            case HoldReleased(hold=hold):
                del holds[hold]
            case ErasureAsked() as ask:
                asked[case] = ask
            case ErasureAgreed(by=by):
                assert by != asked[case].by
                assert not what_holds(asked[case].patron, world.log[:nth], holds)
            case DestructionBegun(patron=who, by=by):
                assert not what_holds(who, world.log[:nth], holds)
                assert len({*by, asked[case].by}) == 3
                assert not [each for each in cases_of(who, world.log[:nth]) if is_open(each, world.log[:nth])]
                begun.add(case)
            case PatronErased(patron=who):
                assert case in begun
                assert who == asked[case].patron
            case _:
                pass


def what_holds(who: str, log: list[Recorded], holds: dict[str, HoldPlaced]) -> list[str]:
    """Which of these holds is over this person, one of their cases, or everything."""
    held = {"", who, *cases_of(who, log)}
    return [hold for hold, placed in holds.items() if placed.of in held]


def cases_of(who: str, log: list[Recorded]) -> set[str]:
    """Where a text of theirs stands, but for the erasures themselves."""
    found = {each.envelope.case for each in log if under_key_of(who, each)}
    return {case for case in found if not case.startswith("erasure")}


def under_key_of(who: str, recorded: Recorded) -> bool:
    return f"patron:{who}" in str(recorded.envelope.fact)


def is_open(case: str, log: list[Recorded]) -> bool:
    page = PAGES[case.partition("-")[0]]
    state = page.fold(page.initial(case), [each for each in log if each.envelope.case == case])
    return not getattr(state, "closed", lambda: True)()


def of_the_erased_nothing_opens_and_of_all_others_everything(world: Chance) -> None:
    erased = {each.fact.patron for each in world.facts(PatronErased)}
    texts = {text for each in world.shown() for text in texts_in(each)}
    for said in world.said:
        # whoever was found to be concerned later, by a case that is about them, is concerned by all of it
        about = said.about | set(world.concerned_in(said.case))
        file = world.files.get(said.text)
        assert (world.opens(file) if file else said.text in texts) is about.isdisjoint(erased), said
    assert (ERASED in texts) is any(under_key_of(who, each) for who in erased for each in world.log)


def texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [text for each in parts for text in texts_in(each)]


def everything_folds_and_nothing_stands_in_clear(world: Chance) -> None:
    assert not [each for each in world.log if "marker" in each.envelope.model_dump_json()]
    register, states = Register(), dict[str, State]()
    for recorded in world.log:
        case = recorded.envelope.case
        assert recorded.envelope.opened() == recorded.fact
        if recorded.envelope.touches:
            register.evolve(recorded.envelope, recorded.fact, recorded.log_position)
        if page := PAGES.get(case.partition("-")[0]):
            states[case] = page.fold(states.get(case) or page.initial(case), [recorded])
    assert {case: world.state(case) for case in states} == states
    assert vars(register.patrons) == vars(world.register.patrons)
    assert register.in_force.forgotten == {each.fact.patron: each.envelope.case for each in world.facts(PatronErased)}
