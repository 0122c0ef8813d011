"""Decisions that today's rules would take otherwise, and why that is right: listed in `known_differences.toml`, each
with the decision page that explains it. What is not listed is a disagreement.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from domain.facts import Envelope


class KnownDifference(BaseModel):
    """`command` is the stored name; `policies` are the versions under which it was decided (all where none is named).
    `decision` names the page in docs/decisions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    policies: tuple[str, ...] = ()
    decision: str = Field(pattern=r"^\d{4}-[a-z0-9-]+\.md$")

    def explains(self, envelope: Envelope) -> bool:
        asked = (envelope.command or {}).get("kind")
        return asked == self.command and (not self.policies or envelope.policy in self.policies)


class KnownDifferences(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    difference: tuple[KnownDifference, ...] = ()


def known_differences() -> tuple[KnownDifference, ...]:
    text = files("services.audit").joinpath("known_differences.toml").read_text(encoding="utf-8")
    return KnownDifferences.model_validate(tomllib.loads(text)).difference
