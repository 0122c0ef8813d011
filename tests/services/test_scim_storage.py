"""The storage follows scim2-server's own contract, on PostgreSQL."""

from __future__ import annotations

from itertools import count

import pytest
from scim2_models import ScimProvider
from scim2_server.storage import AsyncScimStorage
from scim2_server.testing import AsyncScimStorageContract

from services.hr.scim import LedgerStorage, scim_provider
from tests.system import Office

NUMBERS = count(1)


class TestTheStorageOverTheLog(AsyncScimStorageContract):
    @pytest.fixture
    def provider(self) -> ScimProvider:
        """What is served; the contract's own would be made anew for each test."""
        return scim_provider()

    @pytest.fixture
    def async_storage(self, office: Office) -> AsyncScimStorage:
        return LedgerStorage(f"hr-{next(NUMBERS)}", office.ledger, office.seal, scim_provider())
