"""Which addresses of HR's systems are told what HR may know, and by which secrets they know us.

PR-4 and PR-5: rights, and what follows from a change of staff, go out to whoever feeds the directory. Subscribing,
ending and exchanging a secret are the operator's acts; of a secret the log holds a fingerprint and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from domain.clauses import PR_4, PR_5
from domain.facts import (
    Act,
    ActorKind,
    Authority,
    Command,
    Decision,
    Fact,
    Line,
    NoAuthority,
    Page,
    Refused,
    Sha256,
    Slug,
    State,
    Value,
)

if TYPE_CHECKING:
    from domain.library import Library

STREAM = "webhooks"
# while a secret is exchanged the one before it signs too
SECRETS_AT_ONCE = 2


class Subscribe(Command, kind="webhooks.Subscribe"):
    """`key` is the fingerprint of the secret; `since` the log position from which on it is told."""

    subscriber: Slug
    url: Line
    key: Sha256
    since: int = Field(ge=0)


class RotateSecret(Command, kind="webhooks.RotateSecret"):
    subscriber: Slug
    key: Sha256


class ForgetOldSecret(Command, kind="webhooks.ForgetOldSecret"):
    subscriber: Slug


class EndSubscription(Command, kind="webhooks.EndSubscription"):
    subscriber: Slug


class OfSubscriber(Fact):
    clauses: ClassVar[tuple[str, ...]] = (PR_4, PR_5)
    subscriber: Slug


class Subscribed(OfSubscriber, kind="webhooks.Subscribed"):
    url: Line
    key: Sha256
    since: int


class SecretsChanged(OfSubscriber, kind="webhooks.SecretsChanged"):
    """Those that sign from now on, the newest first."""

    keys: tuple[Sha256, ...]


class SubscriptionEnded(OfSubscriber, kind="webhooks.SubscriptionEnded"):
    pass


class Subscription(Value):
    id: str
    url: str
    keys: tuple[str, ...]
    since: int


class Subscriptions(State):
    open: tuple[Subscription, ...] = ()

    def named(self, id_: str) -> Subscription | None:
        return next((each for each in self.open if each.id == id_), None)


def decide(act: Act, told: Subscriptions, _: Library) -> Decision:
    only_the_operator(act)
    match act.command:
        case Subscribe() as wanted:
            a_name_of_its_own(wanted.subscriber, told)
            return by_the_operator(wanted.becomes(Subscribed))
        case RotateSecret(subscriber=subscriber, key=key):
            keys = (key, *someone_who_is_told(subscriber, told).keys)[:SECRETS_AT_ONCE]
            return by_the_operator(SecretsChanged(subscriber=subscriber, keys=keys))
        case ForgetOldSecret(subscriber=subscriber):
            newest, *old = someone_who_is_told(subscriber, told).keys
            return by_the_operator(*([SecretsChanged(subscriber=subscriber, keys=(newest,))] if old else []))
        case EndSubscription(subscriber=subscriber):
            someone_who_is_told(subscriber, told)
            return by_the_operator(SubscriptionEnded(subscriber=subscriber))
        case _:
            raise Refused(PR_4, f"{act.command.kind} is not a step of subscribing", "Subscribe, or a change of one")


def by_the_operator(*facts: Fact) -> Decision:
    return Decision(facts, Authority(role="operator"))


def only_the_operator(act: Act) -> None:
    if act.by.kind is not ActorKind.OPERATOR:
        raise NoAuthority(PR_4, "only whoever runs the installation may do this", "the operator, at the command line")


def a_name_of_its_own(subscriber: str, told: Subscriptions) -> None:
    if told.named(subscriber):
        raise Refused(PR_4, f"{subscriber} is told already", "another name, or its end first")


def someone_who_is_told(subscriber: str, told: Subscriptions) -> Subscription:
    found = told.named(subscriber)
    if found is None:
        known = ", ".join(each.id for each in told.open) or "none yet: add one"
        raise Refused(PR_4, f"there is no subscriber {subscriber}", known)
    return found


def evolve(told: Subscriptions, fact: Fact) -> Subscriptions:
    match fact:
        case Subscribed(subscriber=id_, url=url, key=key, since=since):
            return told.but(open=(*told.open, Subscription(id=id_, url=url, keys=(key,), since=since)))
        case SecretsChanged(subscriber=id_, keys=keys):
            changed = (each.model_copy(update={"keys": keys}) if each.id == id_ else each for each in told.open)
            return told.but(open=tuple(changed))
        case SubscriptionEnded(subscriber=id_):
            return told.but(open=tuple(each for each in told.open if each.id != id_))
        case _:
            return told


WEBHOOKS = Page(STREAM, Subscriptions, decide, evolve, by_todays_policy=True)
