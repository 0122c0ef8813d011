"""Who is told what HR may know: the operator's acts, each on record, and of a secret its fingerprint alone."""

from __future__ import annotations

import pytest

from domain.clauses import PR_4
from domain.facts import Actor, Command
from domain.webhooks import (
    EndSubscription,
    ForgetOldSecret,
    RotateSecret,
    SecretsChanged,
    Subscribe,
    Subscribed,
    Subscription,
    SubscriptionEnded,
    Subscriptions,
)
from tests.domain.house import DIRECTOR, HR, OPERATOR, TIMER, House, founded

ONE, OTHER = "0123456789ab", "ba9876543210"
KEYS = tuple(f"{nth:064x}" for nth in range(4))
URL = "https://hr.example.org/hooks"


def subscribed(house: House | None = None, id_: str = ONE) -> House:
    house = house or founded()
    command = Subscribe(subscriber=id_, url=URL, key=KEYS[0], since=7)
    assert house.does(command, OPERATOR, "webhooks") == [Subscribed(subscriber=id_, url=URL, key=KEYS[0], since=7)]
    return house


def told(house: House) -> tuple[Subscription, ...]:
    state = house.state("webhooks")
    assert isinstance(state, Subscriptions)
    return state.open


def test_a_subscriber_is_told_until_it_ends() -> None:
    house = subscribed(subscribed(), OTHER)
    assert told(house)[0] == Subscription(id=ONE, url=URL, keys=(KEYS[0],), since=7)
    assert house.does(EndSubscription(subscriber=ONE), OPERATOR, "webhooks") == [SubscriptionEnded(subscriber=ONE)]
    assert [each.id for each in told(house)] == [OTHER]


def test_two_secrets_sign_at_once_and_no_third_and_then_the_newest_alone() -> None:
    house = subscribed(subscribed(), OTHER)
    for nth in (1, 2):
        house.does(RotateSecret(subscriber=ONE, key=KEYS[nth]), OPERATOR, "webhooks")
        assert told(house)[0].keys == (KEYS[nth], KEYS[nth - 1])
    forgotten = house.does(ForgetOldSecret(subscriber=ONE), OPERATOR, "webhooks")
    assert forgotten == [SecretsChanged(subscriber=ONE, keys=(KEYS[2],))]
    assert house.does(ForgetOldSecret(subscriber=ONE), OPERATOR, "webhooks") == []
    assert [each.keys for each in told(house)] == [(KEYS[2],), (KEYS[0],)]


def test_a_name_is_one_subscribers_at_a_time() -> None:
    again = Subscribe(subscriber=ONE, url=URL, key=KEYS[1], since=0)
    assert subscribed().refuses(again, OPERATOR, "webhooks").because == f"{ONE} is told already"


@pytest.mark.parametrize(
    "command",
    [RotateSecret(subscriber=OTHER, key=KEYS[1]), ForgetOldSecret(subscriber=OTHER), EndSubscription(subscriber=OTHER)],
)
def test_who_is_not_told_has_nothing_to_change_and_it_is_said_who_is(command: Command) -> None:
    refused = subscribed().refuses(command, OPERATOR, "webhooks")
    assert (refused.because, refused.remedy) == (f"there is no subscriber {OTHER}", ONE)


@pytest.mark.parametrize("sender", [DIRECTOR, HR, TIMER])
def test_nobody_but_the_operator_says_who_is_told(sender: str | Actor) -> None:
    for command in (
        Subscribe(subscriber=OTHER, url=URL, key=KEYS[0], since=0), RotateSecret(subscriber=ONE, key=KEYS[1]),
        ForgetOldSecret(subscriber=ONE), EndSubscription(subscriber=ONE),
    ):  # fmt: skip
        assert subscribed().refuses(command, sender, "webhooks").clauses == (PR_4,)
