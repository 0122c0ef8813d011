"""What a decision may know of the library at a moment: people, roles, branches, delegations, calendar, claims.

`Register` is folded from the log, fact by fact, and kept in memory. `Library` is one decision's view of it: it answers
for one moment and one policy version, and notes every scope it was asked about, so that the record can be made
conditional on exactly those not having changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from functools import cached_property

from domain.calendar import Calendar
from domain.clauses import PR_19
from domain.delegation import Delegated
from domain.directory import Person
from domain.facts import Act, Authority, NoAuthority, Refused
from domain.hr_feed_messages import STAFF_FILE
from domain.hr_register import HrRegister
from domain.in_force import Account, Right, account_scope, forgotten_scope, rights_scope
from domain.legal_hold import SCOPE as LEGAL_HOLDS
from domain.legal_hold import HoldPlaced
from domain.patron_basis import consent_scope, content_scope, patron_scope
from domain.patron_register import Consent, Content, Use
from domain.policy import DECIDES_CAME_LATER, Decides, Policy, Role
from domain.register import Policies, Register, day_of, in_force_at

AT_WORK_IN_HEADQUARTERS = {
    Role.EXECUTIVE_DIRECTOR,
    Role.MARKETING_AND_ACCESS_COORDINATOR,
    Role.YOUTH_SERVICES_COORDINATOR,
    Role.HEADQUARTERS_STAFF,
    Role.HELPDESK,
}
# In the directory, but not of the library's staff.
NOT_OF_THE_STAFF = {Role.BOARD_DELEGATE, Role.AUDITOR}
# The order in which someone's several roles are named when nothing says which one they act in.
BY_RANK = list(Role)


class Library:
    """One decision's view. `at` is the decision's moment; `version` the policy version a running case began under."""

    def __init__(self, register: Register, at: datetime, version: str = "") -> None:
        self._register, self.at, self._version = register, at, version
        self.read: set[str] = set()

    def supposing(self, person: Person, at: datetime) -> Library:
        """As it would be at a moment to come, if HR said this of that person."""
        return Library(self._register.supposing(person), at, self._version)

    # the policy

    @cached_property
    def policy(self) -> Policy:
        """The version the case began under; for a new case the one in force."""
        self.read.add("policy")
        for adopted, policy in self._register.policies if self._version else self._in_force:
            if self._version in ("", adopted.version):
                return policy
        raise Refused(PR_19, "no version of the policy is in force", "adopt one whose effective date has come")

    @cached_property
    def _in_force(self) -> Policies:
        return in_force_at(self.at, self._register.policies)

    def newest_policy(self) -> Policy:
        """The version adopted last, whether or not its day has come."""
        self.read.add("policy")
        if not self._register.policies:
            raise Refused(PR_19, "no policy has been adopted", "adopt a policy first")
        return self._register.policies[-1][1]

    def has_a_policy(self) -> bool:
        self.read.add("policy")
        return bool(self._register.policies)

    def adopted(self, version: str) -> str | None:
        """The hash of the text adopted under this version name, if any."""
        self.read.add("policy")
        return next((each.sha256 for each, _ in self._register.policies if each.version == version), None)

    def policy_version(self) -> str:
        """The version the decision was made under; empty before the founding."""
        return self.policy.version if self.in_force() else ""

    def in_force(self) -> bool:
        self.read.add("policy")
        return bool(self._in_force)

    def _day(self, policy: Policy) -> date:
        return day_of(self.at, policy)

    # the calendar

    @property
    def calendar(self) -> Calendar:
        self.read.add("calendar")
        return self._register.calendar or self.policy.calendar

    def has_a_calendar(self) -> bool:
        self.read.add("calendar")
        return self._register.calendar is not None

    def closed_by(self, closure: str) -> str | None:
        return next((each.place for each in self.calendar.closures if each.id == closure), None)

    # people and roles

    def person(self, id_: str) -> Person | None:
        self.read.add(f"person:{id_}")
        return self._register.people.get(id_)

    def people(self) -> list[Person]:
        """Everyone the directory has ever named, by id."""
        self.read.add("staff")
        return [person for _, person in sorted(self._register.people.items())]

    def is_active(self, id_: str) -> bool:
        person = self.person(id_)
        return person is not None and self._works_today(person)

    def has_left_since(self, id_: str, moment: datetime) -> bool:
        """Whether they are gone, or were at any time since: nothing of theirs comes back with them by itself."""
        left = self._register.left_at.get(id_)
        return not self.is_employee(id_) or (left is not None and left >= moment)

    def is_employee(self, id_: str) -> bool:
        """On the library's staff now. The board's delegate and auditors are in the directory, but not on the staff."""
        return self.is_active(id_) and not self.roles(id_) & NOT_OF_THE_STAFF

    def may_act(self, id_: str) -> bool:
        """Nobody inactive does anything; auditors look at everything and change nothing."""
        return self.is_active(id_) and Role.AUDITOR not in self.roles(id_)

    def _works_today(self, person: Person) -> bool:
        return person.employed_on(self._today)

    @cached_property
    def _today(self) -> date:
        return self._day(self.policy)

    @property
    def today(self) -> date:
        return self._today

    def source_of(self, id_: str) -> str:
        """The feed whose word counts for this person."""
        self.read.add(f"person:{id_}")
        return self._register.hr.sources.get(id_, STAFF_FILE)

    def hr(self, *scopes: str) -> HrRegister:
        """What HR's systems have said, of which these scopes are looked at."""
        self.read.update(scopes)
        return self._register.hr

    def place_of(self, id_: str) -> str:
        person = self.person(id_)
        return person.branch if person else ""

    @cached_property
    def headquarters(self) -> str:
        return next(id_ for id_, place in self.policy.places.items() if place.kind == "headquarters")

    def at_headquarters(self, id_: str) -> bool:
        """On the staff of headquarters: the board's delegate and auditors sit there too, but do not do its work."""
        return self.place_of(id_) == self.headquarters and bool(self.roles(id_) & AT_WORK_IN_HEADQUARTERS)

    def roles(self, id_: str) -> frozenset[Role]:
        """The roles someone holds now, from the position HR says they have. Nobody inactive holds any (PR-4)."""
        person = self.person(id_)
        if person is None or not self._works_today(person):
            return frozenset()
        self._read_groups()
        return self._register.roles_of(person, self.policy)

    def _read_groups(self) -> None:
        if self.policy.groups:
            self.read.add("groups")

    def holders(self, role: Role, place: str = "") -> tuple[str, ...]:
        """Who holds a role now (at a place, where one is named), in a fixed order."""
        self.read.add("staff")
        self._read_groups()
        having = self._register.by_role(self.policy)[role]
        return tuple(each.id for each in having if (not place or each.branch == place) and self._works_today(each))

    def friends_administrator(self, id_: str) -> bool:
        self.read.add(f"person:{id_}")
        return self._register.friends.get(id_, False)

    def standing(self, id_: str, role: Role | None = None) -> Authority:
        """In which capacity someone acts: the role asked for, else the foremost of their own."""
        held = sorted(self.roles(id_), key=BY_RANK.index)
        chosen = role or (held[0] if held else None)
        return Authority(role=chosen.value if chosen else "", place=self.place_of(id_))

    # who stands in for whom

    def delegations(self) -> Iterable[Delegated]:
        self.read.add("delegations")
        return [each for each in self._register.delegations.values() if each.until > self.at]

    def delegation(self, id_: str) -> Delegated | None:
        self.read.add("delegations")
        return self._register.delegations.get(id_)

    def left_behind(self, delegation: str) -> str:
        """Who left what this delegation rests on; nobody where it still holds."""
        self.read.add("delegations")
        return self._register.left_behind.get(delegation, "")

    def stands_in_for(self, person: str, process: str, not_through: Collection[str] = ()) -> tuple[str, ...]:
        """Those on whose behalf this person may act now, the chain followed back to who gave it first."""
        given = self._holding(process, not_through)
        return reached_from(person, [(each.to, each.giver) for each in given])

    def delegates_of(self, person: str, process: str, not_through: Collection[str] = ()) -> tuple[str, ...]:
        given = self._holding(process, not_through)
        return reached_from(person, [(each.giver, each.to) for each in given])

    def _holding(self, process: str, not_through: Collection[str]) -> list[Delegated]:
        """A leaver's delegation holds no longer; and a party to a request does not choose who decides on it."""
        left = self._register.left_behind
        given = [each for each in self.delegations() if each.holds(process, self.at) and each.delegation not in left]
        return [each for each in given if each.giver not in not_through and self.may_act(each.giver)]

    # authority

    def only(
        self,
        role: Role,
        act: Act,
        clause: str,
        to: str,
        process: str = "",
        place: str = "",
        not_through: Collection[str] = (),
    ) -> Authority:
        """The authority of a holder of this role (or of their delegate), or the refusal that says who holds it."""
        holders = self.holders(role, place)
        if self.may_act(act.person):
            if act.person in holders:
                return self.standing(act.person, role)
            for giver in self.stands_in_for(act.person, process, not_through) if process else ():
                if giver in holders:
                    return Authority(role=role.value, place=self.place_of(giver), on_behalf_of=giver)
        raise NoAuthority(
            clause,
            f"only the {title(role)} may {to}",
            f"ask the {title(role)}: {', '.join(holders) or 'the post is vacant'}",
        )

    def authority_to_decide(
        self, act: Act, process: str, place: str, parties: Collection[str], clause: str
    ) -> Authority:
        """The authority under which the sender may decide this request now. No party to it ever has one, and none
        comes from a party, nor through one."""
        role, where, _ = self.who_decides(process, place, parties)
        if act.person in parties:
            raise NoAuthority(
                clause,
                f"{act.person} asked for this or edited it, and nobody decides on their own request",
                f"leave the decision to the {title(role)}: {', '.join(self.holders(role, where)) or 'vacant'}",
            )
        to = f"decide on {process.replace('_', ' ')}"
        return self.only(role, act, clause, to=to, process=process, place=where, not_through=parties)

    def decides(self, process: str) -> Decides:
        return self.policy.decides.get(process) or DECIDES_CAME_LATER[process]

    def who_decides(self, process: str, place: str, parties: Collection[str]) -> tuple[Role, str, tuple[str, ...]]:
        """Role, place and persons who decide now: the stand-in where the post is vacant or its holder is a party."""
        rule = self.decides(process)
        where = place if rule.by is Role.BRANCH_MANAGER else ""
        holders = [each for each in self.holders(rule.by, where) if each not in parties]
        if holders or rule.stands_in is None:
            return rule.by, where, self._with_delegates(holders, process, parties)
        stand_ins = [each for each in self.holders(rule.stands_in) if each not in parties]
        return rule.stands_in, "", self._with_delegates(stand_ins, process, parties)

    def _with_delegates(self, holders: list[str], process: str, parties: Collection[str]) -> tuple[str, ...]:
        delegates = [each for holder in holders for each in self.delegates_of(holder, process, parties)]
        may_decide = [each for each in delegates if each not in parties and self.may_act(each)]
        return tuple(dict.fromkeys([*holders, *may_decide]))

    def who_runs(self, place: str) -> tuple[str, ...]:
        """The branch's manager; the Executive Director while that post is vacant. Headquarters has no such post."""
        managers = self.holders(Role.BRANCH_MANAGER, place)
        vacant = not managers and place != self.headquarters
        return self.holders(Role.EXECUTIVE_DIRECTOR) if vacant else managers

    # what is in force

    def account(self, id_: str) -> Account | None:
        self.read.add(account_scope(id_))
        return self._register.in_force.accounts.get(id_)

    def accounts(self) -> list[Account]:
        self.read.add("accounts")
        return [account for _, account in sorted(self._register.in_force.accounts.items())]

    def rights_of(self, person: str) -> list[Right]:
        """Rights that were granted and have not been ended, whether or not they run at this moment."""
        self.read.add(rights_scope(person))
        return list(self._register.in_force.rights.get(person, {}).values())

    def may_post_by_role(self, person: str) -> Role | None:
        """PR-4: the role by which someone posts without asking."""
        held = self.roles(person)
        return next((role for role in self.policy.may_post if role in held), None)

    # what stands behind the use of patrons' pictures and words

    def consent(self, id_: str) -> Consent | None:
        self.read.add(consent_scope(id_))
        return self._register.patrons.consents.get(id_)

    def content(self, id_: str) -> Content | None:
        self.read.add(content_scope(id_))
        return self._register.patrons.contents.get(id_)

    def use(self, id_: str) -> Use | None:
        """A use as it stands; its end is told under its content."""
        found = self._register.patrons.uses.get(id_)
        if found:
            self.read.add(content_scope(found.content))
        return found

    def uses_of(self, consents: Iterable[str] = (), contents: Iterable[str] = ()) -> list[Use]:
        """Every use that stands and ever rested on one of these consents, or shows one of these contents."""
        keys = [*consents, *contents]
        self.read.update((*map(consent_scope, keys), *map(content_scope, keys)))
        ids = dict.fromkeys(use for key in keys for use in self._register.patrons.uses_of.get(key, ()))
        found = [use for id_ in ids if (use := self.use(id_))]
        return [each for each in found if each.stands_at(self.at)]

    def on_record_of(self, patron: str) -> tuple[str, ...]:
        """Consents and pictures that have to do with this patron."""
        self.read.add(patron_scope(patron))
        return self._register.patrons.of_patron.get(patron, ())

    # what is kept and what was forgotten

    def legal_holds(self) -> list[HoldPlaced]:
        """Those that were placed and not released."""
        self.read.add(LEGAL_HOLDS)
        return list(self._register.legal_holds.values())

    def is_forgotten(self, patron: str) -> bool:
        self.read.add(forgotten_scope(patron))
        return patron in self._register.in_force.forgotten

    # what other cases hold

    def holder_of(self, claim: str) -> str | None:
        self.read.add(f"claim:{claim}")
        return self._register.claims.get(claim)


def title(role: Role) -> str:
    return role.value.replace("_", " ").title().replace(" And ", " and ")


def reached_from(person: str, links: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """Everyone to whom the links lead from this person, the nearest first."""
    found: list[str] = []
    edge = {person}
    while edge := {there for here, there in links if here in edge} - {*found, person}:
        found.extend(sorted(edge))
    return tuple(found)
