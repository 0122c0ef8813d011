"""Every process that is a workflow: its stem, the class that is its procedure, and the type name Temporal knows."""

from __future__ import annotations

from workflows.account_creation import AccountCreation
from workflows.case import Case

WORKFLOWS: dict[str, type[Case]] = {each.page.name: each for each in (AccountCreation,)}
TYPE_NAMES: dict[str, str] = {stem: each.__name__ for stem, each in WORKFLOWS.items()}
