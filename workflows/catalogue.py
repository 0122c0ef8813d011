"""Every process that is a workflow: its stem, and the class that is its procedure."""

from __future__ import annotations

from workflows.account_creation import AccountCreation
from workflows.case import Case

WORKFLOWS: dict[str, type[Case]] = {AccountCreation.page.name: AccountCreation}
TYPE_NAMES: dict[str, str] = {"account_creation": "AccountCreation"}
