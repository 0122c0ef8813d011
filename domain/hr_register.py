"""Everything the log has said of HR's systems: who may write, what each has stored, whose word counts, what waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple

from domain.facts import Envelope, Fact
from domain.hr_feed_messages import (
    GroupDeleted,
    GroupStored,
    HrSystemRegistered,
    HrTokenRevoked,
    OfResource,
    QuarantineCleared,
    Quarantined,
    SetAside,
    SnapshotTaken,
    SourceSet,
    UserDeleted,
    UserStored,
)


@dataclass
class HrSystem:
    token_sha256: str = ""
    snapshot: SnapshotTaken | None = None


class StoredResource(NamedTuple):
    """A user or group as it stands. `version`: its position in its stream; `command`: what its seal is bound to."""

    type: Literal["User", "Group"]
    system: str
    id: str
    fact: UserStored | GroupStored
    version: int
    created: datetime
    modified: datetime
    command: str


@dataclass
class HrRegister:
    """Everything the log has said of HR's systems so far. `journal` names each resource that changed, in log order."""

    systems: dict[str, HrSystem] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    resources: dict[tuple[str, str], StoredResource] = field(default_factory=dict)
    quarantine: dict[tuple[str, str], Quarantined] = field(default_factory=dict)
    journal: list[tuple[str, str]] = field(default_factory=list)

    def still(self) -> HrRegister:
        """As it is now: nothing that is learned later changes it."""
        systems = {name: replace(each) for name, each in self.systems.items()}
        return HrRegister(
            systems, dict(self.sources), dict(self.resources), dict(self.quarantine), list(self.journal)
        )

    def learn(self, envelope: Envelope, fact: Fact) -> bool:
        """Whether roles may have changed by it."""
        match fact:
            case HrSystemRegistered(system=system, token_sha256=hash_):
                self.system(system).token_sha256 = hash_
            case HrTokenRevoked(system=system):
                self.system(system).token_sha256 = ""
            case SnapshotTaken(system=system):
                self.system(system).snapshot = fact
            case SourceSet(system=system, person=person):
                self.sources[person] = system
                return True
            case Quarantined(system=system, item=item):
                self.quarantine[system, item] = fact
            case QuarantineCleared(system=system, item=item):
                self.quarantine.pop((system, item), None)
            case OfResource() if not isinstance(fact, SetAside):
                return self._learn_of_a_resource(envelope, fact)
        return False

    def system(self, system: str) -> HrSystem:
        return self.systems.setdefault(system, HrSystem())

    def _learn_of_a_resource(self, envelope: Envelope, fact: OfResource) -> bool:
        key = (fact.system, fact.id)
        match fact:
            case UserStored() | GroupStored():
                known = self.resources.get(key)
                created = known.created if known else envelope.at
                type_: Literal["User", "Group"] = "User" if isinstance(fact, UserStored) else "Group"
                self.resources[key] = StoredResource(
                    type_, *key, fact, envelope.position, created, envelope.at, envelope.command_id
                )
            case UserDeleted() | GroupDeleted():
                self.resources.pop(key, None)
        self.journal.append(key)
        return isinstance(fact, GroupStored | GroupDeleted)

    def system_of_token(self, token_sha256: str) -> str | None:
        held_by = {each.token_sha256: name for name, each in list(self.systems.items()) if each.token_sha256}
        return held_by.get(token_sha256)

    def user(self, system: str, id_: str) -> UserStored | None:
        found = self.resources.get((system, id_))
        return found.fact if found and isinstance(found.fact, UserStored) else None

    def groups_of_people(self) -> dict[str, set[str]]:
        """The names of the groups each person is in. A group speaks only for its own system's people."""
        return self.people_by(self.groups())

    def groups(self) -> dict[str, GroupStored]:
        stored = (each.fact for each in list(self.resources.values()))
        return {f"{each.system}.{each.id}": each for each in stored if isinstance(each, GroupStored)}

    def people_by(self, groups: Mapping[str, GroupStored]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for each in groups.values():
            for person in self._people_in(each):
                found.setdefault(person, set()).add(each.display_name)
        return found

    def _people_in(self, group: GroupStored) -> Iterator[str]:
        for member in group.members:
            user = self.user(group.system, member)
            if user and self.sources.get(user.person) == group.system:
                yield user.person

    def users_of(self, system: str) -> list[StoredResource]:
        return [each for each in list(self.resources.values()) if each.system == system and each.type == "User"]

    def waiting(self, system: str) -> list[Quarantined]:
        return [each for (of, _), each in sorted(self.quarantine.items()) if of == system]
