"""Adopting a version of the policy: from its effective date on, new cases are decided under it.

Running cases finish under the version they began with. The exact text is in the fact, so that any decision can be
judged again under the version it names.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from domain.clauses import PR_19
from domain.facts import Act, ActorKind, Authority, Command, Decision, Fact, Line, Page, Refused, Sha256, State
from domain.policy import Policy, PolicyError, Role, parse_policy, policy_hash

if TYPE_CHECKING:
    from domain.library import Library

STREAM = "policy_adoption"


class AdoptPolicy(Command, kind="policy_adoption.AdoptPolicy"):
    text: str = Field(min_length=1, max_length=1_000_000)


class PolicyAdopted(Fact, kind="policy_adoption.PolicyAdopted"):
    clauses: ClassVar[tuple[str, ...]] = (PR_19,)
    version: Line
    effective: date
    sha256: Sha256
    text: str

    def touches(self) -> tuple[str, ...]:
        return ("policy",)


def decide(act: Act, _: State, library: Library) -> Decision:
    match act.command:
        case AdoptPolicy(text=text):
            authority = only_the_executive_director_after_the_founding(act, library)
            policy = a_readable_policy(text)
            if (adopted := library.adopted(policy.version)) is not None:
                the_same_text(adopted, text, policy.version)
                return Decision((), authority)
            fact = PolicyAdopted(
                version=policy.version, effective=policy.effective, sha256=policy_hash(text), text=text
            )
            return Decision((fact,), authority)
        case _:
            raise Refused(PR_19, f"{act.command.kind} is not a step of adopting a policy", "AdoptPolicy")


def only_the_executive_director_after_the_founding(act: Act, library: Library) -> Authority:
    if act.by.kind is ActorKind.OPERATOR and not library.has_a_policy():
        return Authority(role="operator")
    return library.only(Role.EXECUTIVE_DIRECTOR, act, PR_19, to="adopt a policy version")


def a_readable_policy(text: str) -> Policy:
    try:
        return parse_policy(text, "policy")
    except (PolicyError, RecursionError) as error:
        because = error if isinstance(error, PolicyError) else "it is nested too deeply"
        raise Refused(
            PR_19, f"the policy file does not hold together: {because}", "a file that `policy check` accepts"
        ) from error


def the_same_text(adopted: str, text: str, version: str) -> None:
    if adopted != policy_hash(text):
        raise Refused(PR_19, f"version {version} is adopted with another text", "give the changed text a new version")


POLICY = Page("policy_adoption", State, decide, lambda state, _: state, by_todays_policy=True)
