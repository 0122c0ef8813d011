"""Every process that is a workflow: its stem, and the class that is its procedure."""

from __future__ import annotations

from workflows.account_creation import AccountCreation
from workflows.case import Case
from workflows.posting_rights import PostingRights
from workflows.staff_change import StaffChange

WORKFLOWS: dict[str, type[Case]] = {each.page.name: each for each in (AccountCreation, PostingRights, StaffChange)}
TYPE_NAMES: dict[str, str] = {
    "account_creation": "AccountCreation",
    "posting_rights": "PostingRights",
    "staff_change": "StaffChange",
}
