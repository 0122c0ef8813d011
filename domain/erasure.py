"""Forgetting a patron: PR-12 protects their personal information always, so also from being kept without need.

Asked, then looked at: a legal hold, a case that is still open or a term of retention stands against it. Then two
different persons agree, neither of them the one who asked. Just before the key is destroyed it is looked at once more;
from then on there is no way back. What remains is that there was someone, and the proof that their key is gone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum, auto
from functools import reduce
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from domain.clauses import PR_12
from domain.erasure_messages import (
    AgreeToErase,
    AskErasure,
    DestructionBegun,
    ErasureAgreed,
    ErasureAsked,
    ErasureExpired,
    ErasureHeld,
    ErasureRefused,
    ErasureWithdrawn,
    LookAgain,
    LookedForAgain,
    PatronErased,
    RecordDestruction,
    RefuseErasure,
    ReportWhatStands,
    Trace,
    WhatStandsLookedAt,
    WithdrawErasure,
    claim,
)
from domain.facts import Act, Authority, Decision, Fact, NoAuthority, Page, Refused, State, content_hash
from domain.requests import ask_to_decide
from domain.steps import in_words
from domain.waiting import (
    Asked,
    LetTimePass,
    Reconsider,
    Wait,
    WaitingFact,
    evolve_wait,
    what_changed_around,
    what_is_due,
)
from domain.who_may import only_staff, only_the_system

if TYPE_CHECKING:
    from domain.library import Library

PROCESS = "erasure"
FIRST, SECOND = "erasure_first", "erasure_second"
LOOKED_AT_BY_THE_SYSTEM = "what stands against an erasure is looked at by the system"


class Stage(StrEnum):
    NOT_ASKED = auto()
    LOOKING = auto()
    HELD = auto()
    FIRST_DECISION = auto()
    SECOND_DECISION = auto()
    AGREED = auto()
    DESTROYING = auto()
    ERASED = auto()
    REFUSED = auto()
    WITHDRAWN = auto()
    EXPIRED = auto()


OVER = (Stage.ERASED, Stage.REFUSED, Stage.WITHDRAWN, Stage.EXPIRED)
NO_WAY_BACK = (Stage.DESTROYING, *OVER)


class ErasureCase(State):
    stage: Stage = Stage.NOT_ASKED
    request: ErasureAsked | None = None
    requester: str = ""
    editors: tuple[str, ...] = ()
    content: str = ""
    cases: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    open_cases: tuple[str, ...] = ()
    kept_until: AwareDatetime | None = None
    agreed_by: tuple[str, ...] = ()
    waiting: Wait | None = None

    @property
    def patron(self) -> str:
        if self.request is None:
            raise LookupError(f"nobody is to be erased in {self.case}")
        return self.request.patron

    def concerned(self) -> tuple[str, ...]:
        """Whatever is said in this case is forgotten with them."""
        return (self.request.patron,) if self.request else ()

    def closed(self) -> bool:
        return self.stage in OVER

    def next_due(self) -> datetime | None:
        if self.stage is Stage.HELD:
            return self.kept_until if not self.open_cases and not self.holds else None
        return self.waiting.next_due() if self.waiting else None

    def search(self) -> dict[str, str]:
        if not self.position:
            return {}
        place, role = (self.waiting.place, self.waiting.role.value) if self.waiting else ("", "")
        return {"Branch": place, "Account": "", "WaitingFor": role}


def decide(act: Act, case: ErasureCase, library: Library) -> Decision:
    match act.command, case.stage:
        case AskErasure() as ask, Stage.NOT_ASKED:
            authority = only_staff(act, PR_12, library, remedy="someone of the staff asks for the patron")
            not_erased_yet(ask.patron, library)
            not_asked_already(ask.patron, library)
            return Decision((ask.becomes(ErasureAsked, by=act.person),), authority)

        case ReportWhatStands() as report, Stage.LOOKING:
            only_the_system(act, PR_12, LOOKED_AT_BY_THE_SYSTEM)
            held = what_stands_against_it(report.traces, case, library)
            return Decision((held,) if held else looked_at(report.traces, case, library))

        case ReportWhatStands() as report, Stage.AGREED:
            only_the_system(act, PR_12, LOOKED_AT_BY_THE_SYSTEM)
            held = what_stands_against_it(report.traces, case, library)
            return Decision((held or DestructionBegun(patron=case.patron, by=case.agreed_by),))

        case LookAgain(), Stage.HELD:
            return Decision((LookedForAgain(),), only_who_asked_or_headquarters(act, case, library))

        case AgreeToErase(content=content), Stage.FIRST_DECISION:
            authority = only_who_decides(act, FIRST, case, library)
            decided_on_what_stands(content, case)
            no_hold_stands(case, library)
            agreed = ErasureAgreed(by=act.person, nth=1, content=content)
            return Decision((agreed, ask_them(SECOND, (*parties(case), act.person), library)), authority)

        case AgreeToErase(content=content), Stage.SECOND_DECISION:
            authority = only_who_decides(act, SECOND, case, library)
            decided_on_what_stands(content, case)
            no_hold_stands(case, library)
            return Decision((ErasureAgreed(by=act.person, nth=2, content=content),), authority)

        case RefuseErasure() as refuse, Stage.FIRST_DECISION | Stage.SECOND_DECISION as stage:
            authority = only_who_decides(act, FIRST if stage is Stage.FIRST_DECISION else SECOND, case, library)
            decided_on_what_stands(refuse.content, case)
            return Decision((refuse.becomes(ErasureRefused, patron=case.patron, by=act.person),), authority)

        case WithdrawErasure(), stage if stage not in (Stage.NOT_ASKED, *NO_WAY_BACK):
            authority = only_who_asked_or_headquarters(act, case, library)
            return Decision((ErasureWithdrawn(patron=case.patron, by=act.person),), authority)

        case RecordDestruction() as done, Stage.DESTROYING:
            only_the_system(act, PR_12, LOOKED_AT_BY_THE_SYSTEM)
            return Decision((done.becomes(PatronErased, patron=case.patron, agreed_by=case.agreed_by),))

        case LetTimePass(), _:
            only_the_system(act, PR_12, LOOKED_AT_BY_THE_SYSTEM)
            return Decision(what_time_brings(case, library))

        case Reconsider(), _:
            only_the_system(act, PR_12, LOOKED_AT_BY_THE_SYSTEM)
            return Decision(what_follows_from_outside(case, library))

        case _, Stage.NOT_ASKED:
            raise Refused(PR_12, "no erasure was asked for under this case", "send AskErasure first")

        case command, stage:
            because = f"{type(command).__name__} does not follow {in_words(stage)}"
            raise Refused(PR_12, because, FOLLOWS.get(stage, "nothing: there is no way back"))


FOLLOWS = {
    Stage.LOOKING: "WithdrawErasure",
    Stage.HELD: "LookAgain or WithdrawErasure",
    Stage.FIRST_DECISION: "AgreeToErase, RefuseErasure or WithdrawErasure",
    Stage.SECOND_DECISION: "AgreeToErase, RefuseErasure or WithdrawErasure",
    Stage.AGREED: "WithdrawErasure",
}


# who may


def only_who_asked_or_headquarters(act: Act, case: ErasureCase, library: Library) -> Authority:
    if library.may_act(act.person) and (act.person == case.requester or library.at_headquarters(act.person)):
        return library.standing(act.person)
    raise NoAuthority(PR_12, f"{act.by.id} did not ask for this", f"let {case.requester} or headquarters do it")


def only_who_decides(act: Act, which: str, case: ErasureCase, library: Library) -> Authority:
    return library.authority_to_decide(act, which, "", parties(case), PR_12)


def parties(case: ErasureCase) -> tuple[str, ...]:
    """Whoever asked, and whoever agreed already: two different persons decide, and neither on their own request."""
    return (*case.editors, *case.agreed_by)


# what must hold


def not_erased_yet(patron: str, library: Library) -> None:
    if library.is_forgotten(patron):
        raise Refused(PR_12, "they were erased before", "nothing: there is nothing left to erase")


def not_asked_already(patron: str, library: Library) -> None:
    if holder := library.holder_of(claim(patron)):
        raise Refused(PR_12, f"their erasure was asked for already, in {holder}", "go on in that case")


def decided_on_what_stands(content: str, case: ErasureCase) -> None:
    if content != case.content:
        because = f"the decision is on content {content}, but what would be erased is now {case.content}"
        raise Refused(PR_12, because, "read it as it stands now and decide on that")


def no_hold_stands(case: ErasureCase, library: Library) -> None:
    if holds := holds_over(case.patron, case.cases, case.accounts, library):
        raise Refused(PR_12, f"a legal hold stands against it: {', '.join(holds)}", "have the hold released first")


def holds_over(
    patron: str, cases: tuple[str, ...], accounts: tuple[str, ...], library: Library
) -> tuple[str, ...]:
    return tuple(each.hold for each in library.legal_holds() if each.covers(cases, (patron,), accounts))


# what follows


def what_stands_against_it(traces: tuple[Trace, ...], case: ErasureCase, library: Library) -> ErasureHeld | None:
    cases, accounts = reached(traces)
    holds = holds_over(case.patron, (*cases, case.case), accounts, library)
    open_cases = tuple(each.case for each in traces if each.open)
    kept_until = kept_until_then(traces, library)
    if not (holds or open_cases or kept_until):
        return None
    return ErasureHeld(cases=cases, accounts=accounts, holds=holds, open_cases=open_cases, kept_until=kept_until)


def reached(traces: tuple[Trace, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    accounts = dict.fromkeys(each.account for each in traces if each.account)
    return tuple(each.case for each in traces), tuple(accounts)


def kept_until_then(traces: tuple[Trace, ...], library: Library) -> datetime | None:
    """The end of the term of retention, where it is still to come."""
    days = library.policy.settings.patron_record_kept_days.value
    ends = [each.newest + timedelta(days=days) for each in traces]
    return max((each for each in ends if days and each > library.at), default=None)


def looked_at(traces: tuple[Trace, ...], case: ErasureCase, library: Library) -> tuple[Fact, ...]:
    cases, accounts = reached(traces)
    return WhatStandsLookedAt(cases=cases, accounts=accounts), ask_them(FIRST, parties(case), library)


def ask_them(which: str, not_these: tuple[str, ...], library: Library) -> Asked:
    return ask_to_decide(which, "", not_these, "decide on erasing a patron", PR_12, library)


def what_time_brings(case: ErasureCase, library: Library) -> tuple[Fact, ...]:
    """First what has changed around it: nobody is reminded of what is no longer theirs."""
    settled = what_follows_from_outside(case, library)
    after = reduce(evolve, settled, case)
    return (*settled, *what_is_due(after.waiting, library.at, library, lambda: ErasureExpired(patron=case.patron)))


def what_follows_from_outside(case: ErasureCase, library: Library) -> tuple[Fact, ...]:
    match case.stage:
        case Stage.HELD if not what_held_it(case, library):
            return (LookedForAgain(),)
        case Stage.FIRST_DECISION | Stage.SECOND_DECISION as stage:
            if holds := holds_over(case.patron, (*case.cases, case.case), case.accounts, library):
                held = ErasureHeld(
                    cases=case.cases, accounts=case.accounts, holds=holds, open_cases=(), kept_until=None
                )
                return (held,)
            which = FIRST if stage is Stage.FIRST_DECISION else SECOND
            role, _, persons = library.who_decides(which, "", parties(case))
            return what_changed_around(case.waiting, role, persons, library)
        case _:
            return ()


def what_held_it(case: ErasureCase, library: Library) -> bool:
    """Whether that still stands; whether an open case has ended is for someone to say, by looking again."""
    standing = holds_over(case.patron, (*case.cases, case.case), case.accounts, library)
    return bool(standing or case.open_cases or (case.kept_until and library.at < case.kept_until))


# how the state follows from the facts


def evolve(case: ErasureCase, fact: Fact) -> ErasureCase:
    match fact:
        case ErasureAsked(by=by):
            return case.but(stage=Stage.LOOKING, request=fact, requester=by, editors=(by,))
        case WhatStandsLookedAt(cases=cases, accounts=accounts):
            content = content_of(case, cases)
            return case.but(
                stage=Stage.FIRST_DECISION, cases=cases, accounts=accounts, content=content, agreed_by=()
            ).but(**NOTHING_STANDS)
        case ErasureHeld():
            found = {name: getattr(fact, name) for name in ("cases", "accounts", "holds", "open_cases", "kept_until")}
            return case.but(stage=Stage.HELD, waiting=None, agreed_by=(), content="", **found)
        case LookedForAgain():
            return case.but(stage=Stage.LOOKING, waiting=None)
        case ErasureAgreed(by=by, nth=nth):
            stage = Stage.SECOND_DECISION if nth == 1 else Stage.AGREED
            return case.but(stage=stage, agreed_by=(*case.agreed_by, by), waiting=None)
        case DestructionBegun():
            return case.but(stage=Stage.DESTROYING)
        case PatronErased():
            return case.but(stage=Stage.ERASED)
        case ErasureRefused():
            return case.but(stage=Stage.REFUSED, waiting=None)
        case ErasureWithdrawn():
            return case.but(stage=Stage.WITHDRAWN, waiting=None)
        case ErasureExpired():
            return case.but(stage=Stage.EXPIRED, waiting=None)
        case WaitingFact():
            return case.but(waiting=evolve_wait(case.waiting, fact))
        case _:
            return case


NOTHING_STANDS: dict[str, object] = {"holds": (), "open_cases": (), "kept_until": None}


def content_of(case: ErasureCase, cases: tuple[str, ...]) -> str:
    """Bound to what would be reached: an agreement to forget more than was read is none."""
    asked = case.request.model_dump(mode="json") if case.request else {}
    return content_hash({"asked": asked, "cases": sorted(cases)})


ERASURE = Page(PROCESS, ErasureCase, decide, evolve, opens_with=(AskErasure,))
