"""Everything the log has said of the library so far, folded fact by fact and kept in memory by each process."""

from __future__ import annotations

from copy import copy
from datetime import date, datetime
from zoneinfo import ZoneInfo

from domain.calendar import Calendar
from domain.delegation import Delegated, DelegationEnded
from domain.directory import FriendsRoleDeclared, OfPerson, Person, PersonLeft, PersonRolesChanged
from domain.facts import Envelope, Fact
from domain.hr_register import HrRegister
from domain.in_force import InForce
from domain.legal_hold import HoldPlaced, HoldReleased
from domain.opening_hours import BranchClosed, CalendarAdopted, ClosureLifted
from domain.patron_register import PatronBasis
from domain.policy import Policy, Role, policy_on_record
from domain.policy_adoption import PolicyAdopted

Policies = list[tuple[PolicyAdopted, Policy]]


class Register:
    """Everything the log has said of the library so far, up to `position`."""

    def __init__(self) -> None:
        self.position = 0
        # of the newest event that changed people, calendar, policy or delegations, and not only a claim
        self.outside_position = 0
        self.people: dict[str, Person] = {}
        self.friends: dict[str, bool] = {}
        self.policies: Policies = []
        self.calendar: Calendar | None = None
        self.delegations: dict[str, Delegated] = {}
        # delegations that rest on what somebody has left since, and who; their end is not recorded yet
        self.left_behind: dict[str, str] = {}
        # when each leaver left last, though they be back by now
        self.left_at: dict[str, datetime] = {}
        self.legal_holds: dict[str, HoldPlaced] = {}
        self.claims: dict[str, str] = {}
        self.in_force = InForce()
        self.hr = HrRegister()
        self.patrons = PatronBasis()
        self._groups: dict[str, set[str]] | None = None
        self._by_role: dict[str, dict[Role, list[Person]]] = {}

    def by_role(self, policy: Policy) -> dict[Role, list[Person]]:
        """Everyone whose position gives a role under this policy, by role and then by id."""
        if policy.version not in self._by_role:
            found: dict[Role, list[Person]] = {role: [] for role in Role}
            for _, person in sorted(self.people.items()):
                for role in self.roles_of(person, policy):
                    found[role].append(person)
            self._by_role[policy.version] = found
        return self._by_role[policy.version]

    def roles_of(self, person: Person, policy: Policy) -> frozenset[Role]:
        """By position, and by the groups that the policy maps for that position; none at a place it does not know."""
        if person.branch not in policy.places:
            return frozenset()
        by_position = policy.roles_of(person.position)
        if not policy.groups or not by_position:
            return by_position
        if self._groups is None:
            self._groups = self.hr.groups_of_people()
        return by_position | policy.roles_by_groups(person.position, self._groups.get(person.id, ()))

    def forget_roles(self) -> None:
        self._by_role.clear()
        self._groups = None

    def evolve(self, envelope: Envelope, fact: Fact, log_position: int) -> None:
        for key in envelope.releases:
            self.claims.pop(key, None)
        for key in envelope.claims:
            self.claims[key] = envelope.case
        if roles_changed := self.hr.learn(envelope, fact):
            self.forget_roles()
        if isinstance(fact, OfPerson):
            self._leave_behind(fact, envelope.at)
        in_force, patrons = self.in_force.learn(envelope, fact), self.patrons.learn(envelope, fact)
        learnt = (self._learn(fact), in_force, patrons, roles_changed)
        if any(learnt):
            self.outside_position = log_position
        self.position = log_position

    def _leave_behind(self, fact: OfPerson, at: datetime) -> None:
        """What lapses by this change though it may be undone before anybody looks: a delegation by whoever left, or no
        longer has the place or a role that they had; a right of whoever came to post by role (PR-4)."""
        id_, before = fact.person.id, self.people.get(fact.person.id)
        left = isinstance(fact, PersonLeft)
        if left:
            self.left_at[id_] = at
        policy = next(iter(in_force_at(at, self.policies)), None)
        if before is None or policy is None:
            return
        had, has = (self.roles_of(each, policy[1]) for each in (before, fact.person))
        if isinstance(fact, PersonRolesChanged):
            had, has = had | set(fact.lost), has - set(fact.lost)
            had -= set(fact.gained)
        if left or before.branch != fact.person.branch or had - has:
            theirs = [each for each in self.delegations.values() if id_ == each.giver or (left and id_ == each.to)]
            self.left_behind |= {each.delegation: id_ for each in theirs}
        if (has - had) & set(policy[1].may_post):
            self.in_force.lapse(id_, "its holder came to post by role")

    def still(self) -> Register:
        """As it is now: nothing that is learned later changes it."""
        kept = copy(self)
        for name, value in vars(self).items():
            setattr(kept, name, copy(value) if isinstance(value, dict | list) else value)
        kept.in_force, kept.hr, kept.patrons = self.in_force.still(), self.hr.still(), self.patrons.still()
        return kept

    def supposing(self, person: Person) -> Register:
        """The same, but for what HR says of this person: for looking ahead, and never kept."""
        supposed = copy(self)
        supposed.people = self.people | {person.id: person}
        supposed._by_role = {}
        return supposed

    def _learn(self, fact: Fact) -> bool:
        match fact:
            case OfPerson(person=person):
                self.people[person.id] = person
                self.forget_roles()
            case FriendsRoleDeclared(person=person_id, administers=administers):
                self.friends[person_id] = administers
            case PolicyAdopted(text=text):
                self.policies.append((fact, policy_on_record(text)))
            case CalendarAdopted(calendar=calendar):
                self.calendar = calendar
            case BranchClosed(closure=closure) if self.calendar is not None:
                self.calendar = self.calendar.with_closure(closure)
            case ClosureLifted(closure=closure_id) if self.calendar is not None:
                self.calendar = self.calendar.without_closure(closure_id)
            case Delegated(delegation=delegation):
                self.delegations[delegation] = fact
            case DelegationEnded(delegation=delegation):
                self.delegations.pop(delegation, None)
                self.left_behind.pop(delegation, None)
            case HoldPlaced(hold=hold):
                self.legal_holds[hold] = fact
            case HoldReleased(hold=hold):
                self.legal_holds.pop(hold, None)
            case _:
                return False
        return True


def in_force_at(at: datetime, policies: Policies) -> Policies:
    """Of the versions whose day has come, the one with the latest day; of two of one day, the last adopted."""
    come = [each for each in policies if each[0].effective <= day_of(at, each[1])]
    return sorted(come, key=lambda each: each[0].effective)[-1:]


def day_of(at: datetime, policy: Policy) -> date:
    return at.astimezone(ZoneInfo(policy.calendar.timezone)).date()
