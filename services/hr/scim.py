"""SCIM 2.0 in: HR's systems write users and groups, and every write is a command of the ledger.

The protocol is scim2-server's. The resources of each system are folded in memory from the log; a write is conditional
on the version that was read. What the vendors send otherwise than the RFC says is mended before (see `normaliser`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from threading import Lock, RLock
from typing import Any, cast
from uuid import uuid4

from pydantic import ValidationError
from scim2_models import (
    AuthenticationScheme,
    Error,
    External,
    InvalidValueException,
    Meta,
    NotFoundException,
    PatchOp,
    PayloadTooLargeException,
    PreconditionFailedException,
    Reference,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    ScimProvider,
    SearchRequest,
    UnauthorizedException,
    UniquenessException,
)
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.conditions import Conditions
from scim2_server.handler import AsyncScimHandler
from scim2_server.memory import InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.service import ScimService
from scim2_server.storage import AsyncScimStorage, SearchPage
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config
from starlette.types import Receive, Scope, Send

from domain.facts import Command, Sealed
from domain.hr_feed import ANOTHER_HOLDS
from domain.hr_feed_messages import (
    DeleteGroup,
    DeleteUser,
    GroupStored,
    Said,
    StoreGroup,
    StoreUser,
    UserStored,
    stream_of_resource,
)
from domain.hr_register import HrRegister, StoredResource
from services.hr.normaliser import ENTERPRISE, normalised
from services.hr.tokens import as_system, hash_of_token
from services.ledger import Answer, Ledger, Refusal
from services.recorder import DATABASE_AWAY
from services.seal import CannotOpen, Seal

EMPLOYMENT = "urn:ietf:params:scim:schemas:extension:imprimatur:2.0:User"
LARGEST_BODY_BYTES = 1_048_576
LARGEST_USER_CHARS = 70_000
TRIES_WHERE_OTHERS_WRITE = 8
# a resource shares its turn with some others: they wait for each other without need, which costs little
TURNS = 64
REQUESTS_AT_ONCE = 8
CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
LONGEST_LINE = 200
VALUE_FILTER = re.compile(
    r'^(?P<list>[^\[\]]+)\[(?P<key>\w+) eq (?P<value>"[^"\\]*"|true|false)\]\.(?P<sub>\w+)$', re.IGNORECASE
)

log = logging.getLogger("imprimatur.scim")


# what the service says of itself


@cache
def scim_provider() -> ScimProvider:
    """Users with the Enterprise extension and with ours for dates; groups; bulk, filter, sort, paging, ETag."""
    schemas = load_default_schemas() | {EMPLOYMENT: employment_schema()}
    types = load_default_resource_types()
    extension = {"schema": EMPLOYMENT, "required": False}
    told = types["User"].model_dump()
    types["User"] = ResourceType.model_validate(told | {"schemaExtensions": [*told["schemaExtensions"], extension]})
    config = load_default_service_provider_config()
    config.authentication_schemes = [bearer_scheme()]
    if config.change_password:
        config.change_password.supported = False
    return ScimProvider.from_discovery(schemas.values(), types.values(), config=config)


def bearer_scheme() -> AuthenticationScheme:
    return AuthenticationScheme(
        type=AuthenticationScheme.Type.oauthbearertoken,
        name="Bearer token",
        description="A token of its own for each HR system, made by `imprimatur hr register`",
        spec_uri=Reference[External]("https://datatracker.ietf.org/doc/html/rfc6750"),
    )


def employment_schema() -> Schema:
    usual = {"multiValued": False, "required": False, "mutability": "readWrite", "returned": "default"}
    text = {"type": "string", "caseExact": False, "uniqueness": "none", **usual}
    attributes: list[dict[str, Any]] = [
        {"name": "startDate", "description": "First day of work, as 2026-03-02 or a date and time", **text},
        {"name": "endDate", "description": "Last day of work, planned or past", **text},
        {"name": "workHours", "description": "Usual working hours, such as Mon-Fri 09:00-17:00", **text},
        {"name": "effectiveAt", "description": "From when this holds; an older one is set aside", **text},
    ]
    told = {"id": EMPLOYMENT, "name": "Employment", "description": "When someone works at the library"}
    return Schema.model_validate({**told, "attributes": attributes})


# from SCIM to the directory's words


def said_by(user: dict[str, Any]) -> Said:
    enterprise, employment = user.get(ENTERPRISE) or {}, user.get(EMPLOYMENT) or {}
    try:
        return Said(
            user_name=line(user.get("userName")),
            employee_number=line(enterprise.get("employeeNumber")),
            external_id=line(user.get("externalId")),
            name=name_of(user),
            work_email=work_email_of(user),
            position=line(user.get("title")),
            branch=line(enterprise.get("department")),
            manager=line((enterprise.get("manager") or {}).get("value")),
            active=user.get("active") is not False,
            hours=line(employment.get("workHours")),
            **dates_of(employment),
        )
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InvalidValueException(detail=f"{first['loc'][0]}: {first['msg']}") from None


def line(value: object) -> str:
    """One line without control characters; the resource keeps it as it was sent."""
    return CONTROLS.sub(" ", str(value or "")).strip()[:LONGEST_LINE]


def name_of(user: dict[str, Any]) -> str:
    name = user.get("name") or {}
    parts = " ".join(filter(None, (name.get("givenName"), name.get("familyName"))))
    return line(user.get("displayName") or name.get("formatted") or parts)


def work_email_of(user: dict[str, Any]) -> str:
    """The address of type work; else the primary one, else the first."""
    emails = [each for each in user.get("emails") or [] if each.get("value")]
    ranked = sorted(emails, key=lambda each: (str(each.get("type")).casefold() != "work", not each.get("primary")))
    return line(ranked[0]["value"]) if ranked else ""


def dates_of(employment: dict[str, Any]) -> dict[str, Any]:
    """What is no date is kept as it was sent, and named: HR is not stopped by it."""
    found: dict[str, Any] = {}
    unread: list[str] = []
    for name, told, read in DATES:
        text = line(employment.get(name))
        try:
            found[told] = read(text) if text else None
        except ValueError:
            unread.append(f"{name} {text} is no date")
    return found | {"unread": line("; ".join(unread))}


def day(text: str) -> date:
    return date.fromisoformat(text[:10])


def moment(text: str) -> datetime:
    """A time without a zone is taken as UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


DATES: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("startDate", "start", day),
    ("endDate", "end", day),
    ("effectiveAt", "effective_at", moment),
)


# what is away


@contextmanager
def reaching_the_log() -> Iterator[None]:
    try:
        yield
    except DATABASE_AWAY as error:
        raise away() from error


def away() -> SCIMException:
    return SCIMException.from_error(Error(status=503, detail="The log cannot be reached; send it again"))


# the resources of one system


class Mirror(InMemoryStorage):
    """A system's resources as the log has them, with the server's own indexes. Nothing is written here first."""

    def __init__(self, provider: ScimProvider) -> None:
        super().__init__()
        self.models: dict[str, type[Resource[Any]]] = {
            str(each.name): cast(type[Resource[Any]], provider.model_for(each)) for each in provider.resource_types
        }
        self.held: dict[str, StoredResource] = {}

    def hold(self, stored: StoredResource, resource: Resource[Any]) -> None:
        self._store(resource, self._values_of(resource))
        self.held[stored.id] = stored

    def drop(self, id_: str) -> None:
        if known := self.held.pop(id_, None):
            self._remove((known.type, id_))

    def version(self, id_: str) -> int:
        return self.held[id_].version if id_ in self.held else 0

    def is_taken(self, resource: Resource[Any]) -> bool:
        try:
            self._check_uniqueness(resource, self._values_of(resource))
        except UniquenessException:
            return True
        return False


class LedgerStorage(AsyncScimStorage):
    """What scim2-server asks of a storage, answered from the log and recorded in it.

    It never suspends: a request is served whole in a thread of its own (see `driven`), and waits there for the log.
    """

    supports_cursors = True

    def __init__(self, system: str, ledger: Ledger, seal: Seal, provider: ScimProvider) -> None:
        self.system, self._ledger, self._seal = system, ledger, seal
        self._mirror, self._lock, self._read_to = Mirror(provider), RLock(), 0
        self._sender = as_system(system)

    # -- reading

    async def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        with self._lock:
            return self._mirror.get(resource_type, resource_id)

    async def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        with self._lock:
            return self._mirror.search(resource_types, search_request, position=position)

    @reaching_the_log()
    def read_on(self) -> None:
        """Bring the resources up to what the log says now."""
        self.catch_up(self._ledger.hr())

    def catch_up(self, register: HrRegister) -> None:
        with self._lock:
            fresh = register.journal[self._read_to :]
            for system, id_ in dict.fromkeys(fresh):
                if system == self.system:
                    self._take(id_, register.resources.get((system, id_)))
            # not before: what could not be opened now is taken up again
            self._read_to += len(fresh)

    def _take(self, id_: str, stored: StoredResource | None, sealed_text: str = "") -> None:
        if stored is None:
            self._mirror.drop(id_)
        elif stored.version > self._mirror.version(id_):
            self._mirror.hold(stored, self._resource(stored, sealed_text))

    def _resource(self, stored: StoredResource, sealed_text: str) -> Resource[Any]:
        model = self._mirror.models[stored.type]
        if isinstance(stored.fact, GroupStored):
            resource = model.model_validate(stored.fact.resource)
        elif sealed_text:
            resource = model.model_validate_json(sealed_text)
        else:
            resource = self._opened(model, stored.fact, stored.command)
        resource.id, resource.meta = stored.id, meta_of(stored)
        return resource

    def _opened(self, model: type[Resource[Any]], user: UserStored, command: str) -> Resource[Any]:
        try:
            return model.model_validate_json(self._seal.opened(user.resource, command, "resource"))
        except CannotOpen:
            # its key was destroyed: what the directory itself knows is left
            return model.model_validate({"userName": user.said.user_name, "active": user.said.active})

    # -- writing

    async def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        return self._write(resource_type, resource, uuid4().hex, 0)

    async def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        expected = self._version_replaced(resource_type, str(resource.id), expected_version)
        return self._write(resource_type, resource, str(resource.id), expected)

    async def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        expected = self._version_replaced(resource_type, resource_id, expected_version)
        self._delete(resource_type, resource_id, expected)

    def _version_replaced(self, resource_type: ResourceType, id_: str, expected: str | None) -> int:
        known = self._mirror.held.get(id_)
        if known is None or known.type != resource_type.name:
            raise NotFoundException(detail=f"{resource_type.name} {id_!r} not found")
        if expected not in (None, version_of(known)):
            raise PreconditionFailedException
        return known.version

    @reaching_the_log()
    def _write(self, type_: ResourceType, resource: Resource[Any], id_: str, expected: int) -> Resource[Any]:
        command_id, type_name = str(uuid4()), str(type_.name)
        stored = resource.model_copy(update={"id": id_, "meta": Meta(resource_type=type_name)})
        with self._lock:
            if self._mirror.is_taken(stored):
                raise UniquenessException
        stored.id = stored.meta = None
        text = "" if type_name == "Group" else self._text_of_user(stored)
        made = self._store_user(text, id_, expected, command_id) if text else self._store_group(stored, id_, expected)
        written = self._submit(made, type_, id_, expected, command_id, text)
        with self._lock:
            known = self._mirror.held.get(id_)
            if known is None or known.version != written:
                # gone again, changed again, or set aside for something newer: what stands is the answer
                return self._mirror.get(type_, id_)
        stored.id, stored.meta = id_, meta_of(known)
        return stored

    def _text_of_user(self, user: Resource[Any]) -> str:
        # a password that an HR system sends along is nothing we keep
        cast(Any, user).password = None
        return user.model_dump_json()

    def _store_user(self, text: str, id_: str, expected: int, command_id: str) -> Command:
        said, sealed = said_by(json.loads(text)), self._sealed(text, id_, command_id)
        return StoreUser(system=self.system, id=id_, said=said, resource=sealed, expected=expected)

    def _store_group(self, sent: Resource[Any], id_: str, expected: int) -> Command:
        group = sent.model_dump(mode="json")
        return StoreGroup(
            system=self.system,
            id=id_,
            display_name=line(group.get("displayName")),
            members=tuple(line(each.get("value")) for each in group.get("members") or []),
            resource=group,
            expected=expected,
        )

    def _sealed(self, text: str, id_: str, command_id: str) -> Sealed:
        if len(text) > LARGEST_USER_CHARS:
            raise PayloadTooLargeException(detail=f"a user of {len(text)} characters; at most {LARGEST_USER_CHARS}")
        return self._seal.text(text, stream_of_resource(self.system, id_), command_id, "resource")

    @reaching_the_log()
    def _delete(self, type_: ResourceType, id_: str, expected: int) -> None:
        kind = DeleteGroup if type_.name == "Group" else DeleteUser
        self._submit(kind(system=self.system, id=id_, expected=expected), type_, id_, expected, str(uuid4()))

    def _submit(
        self, command: Command, type_: ResourceType, id_: str, expected: int, command_id: str, sealed_text: str = ""
    ) -> int:
        """The version that was recorded; 0 for none."""
        answer = self._ledger.submit_own(command, stream_of_resource(self.system, id_), self._sender, command_id)
        if answer.refusal:
            self._explain(answer.refusal, type_, id_, expected)
        recorded = self._learn(answer, sealed_text).resources.get((self.system, id_))
        return recorded.version if recorded else 0

    def _learn(self, answer: Answer, sealed_text: str) -> HrRegister:
        """What was just recorded shows at once, and is not opened again where its text is known; the log brings the
        same later, which changes nothing."""
        own = HrRegister()
        with self._lock:
            for each in answer.facts:
                own.learn(each.envelope, each.fact)
            for key in dict.fromkeys(own.journal):
                self._take(key[1], self._with_its_birth(own.resources.get(key)), sealed_text)
        return own

    def _with_its_birth(self, stored: StoredResource | None) -> StoredResource | None:
        known = self._mirror.held.get(stored.id) if stored else None
        return stored._replace(created=known.created) if stored and known else stored

    def _explain(self, refusal: Refusal, type_: ResourceType, id_: str, expected: int) -> None:
        """The ledger's refusal as the protocol's error, by what the log says by now."""
        self.read_on()
        if expected and id_ not in self._mirror.held:
            raise NotFoundException(detail=f"{type_.name} {id_!r} not found")
        if self._mirror.version(id_) != expected:
            raise PreconditionFailedException
        if refusal.because.startswith(ANOTHER_HOLDS):
            raise UniquenessException(detail=refusal.because)
        raise InvalidValueException(detail=f"{refusal.because}; would pass: {refusal.remedy}")


def meta_of(stored: StoredResource) -> Meta:
    return Meta(
        resource_type=stored.type,
        created=stored.created,
        last_modified=stored.modified,
        version=version_of(stored),
    )


def version_of(stored: StoredResource) -> str:
    return f'W/"{stored.version}"'


def driven(serving: Coroutine[Any, Any, None]) -> None:
    """Serves a request in this thread, from its first line to its last. The server asks asynchronously, but nothing
    that it asks here suspends."""
    try:
        serving.send(None)
    except StopIteration:
        return
    serving.close()
    raise RuntimeError("a request of SCIM waits for an event loop, and has none")


# the protocol, where it needs the state


class Service(ScimService):
    def apply_patch(
        self, current: Resource[Any], patch_op: PatchOp[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """One operation after the other, so that each sees what the one before it left."""
        self.check_preconditions(current, "PATCH", conditions)
        changed = False
        for operation in patch_op.operations or []:
            fitting = with_a_target(operation, current)
            changed = patch_op.model_copy(update={"operations": [fitting]}).patch(current) or changed
        return current if changed else None

    def apply_replacement(
        self, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """A replacement that does not say whether someone is active leaves that as it is (Okta)."""
        told = cast(Any, replacement)
        if "active" in type(replacement).model_fields and told.active is None:
            told.active = cast(Any, current).active
        return super().apply_replacement(current, replacement, conditions)


def with_a_target(operation: Any, current: Resource[Any]) -> Any:
    """`emails[type eq "home"].value` of a user without such an address adds one (Entra)."""
    found = VALUE_FILTER.match(str(operation.path or ""))
    if found is None or operation.op == "remove" or operation.path.get(current, strict=False) is not None:
        return operation
    value = found["value"].casefold() == "true" if found["value"][0] != '"' else found["value"].strip('"')
    element = {found["key"]: value, found["sub"]: operation.value}
    whole_list = type(operation.path)(found["list"])
    return operation.model_copy(update={"op": type(operation).Op.add, "path": whole_list, "value": [element]})


class Handler(AsyncScimHandler):
    """A write that names no version is tried again on what others wrote meanwhile: of two changes none is lost."""

    def __init__(self, service: ScimService, storage: AsyncScimStorage) -> None:
        super().__init__(service, storage)
        self._turns = [Lock() for _ in range(TURNS)]

    async def patch_resource(
        self, resource_type: ResourceType, resource_id: str, patch_op: PatchOp[Any], conditions: Conditions
    ) -> Resource[Any]:
        async def patch() -> Resource[Any]:
            return await super(Handler, self).patch_resource(resource_type, resource_id, patch_op, conditions)

        return await self._in_turn(resource_id, patch, conditions)

    async def replace_resource(
        self, resource_type: ResourceType, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any]:
        async def replace() -> Resource[Any]:
            newest = await self.storage.get(resource_type, str(current.id))
            fresh = replacement.model_copy(deep=True)
            return await super(Handler, self).replace_resource(resource_type, newest, fresh, conditions)

        return await self._in_turn(str(current.id), replace, conditions)

    async def _in_turn(
        self, id_: str, write: Callable[[], Awaitable[Resource[Any]]], conditions: Conditions
    ) -> Resource[Any]:
        with self._turns[hash(id_) % TURNS]:
            for _ in range(TRIES_WHERE_OTHERS_WRITE):
                try:
                    return await write()
                except PreconditionFailedException:
                    if conditions.if_match or conditions.if_none_match:
                        raise
                    cast(LedgerStorage, self.storage).read_on()
            return await write()


class Tenant(ASGIApplication):
    """The server as one HR system sees it: its own users and groups, and nobody else's."""

    def __init__(self, storage: AsyncScimStorage, provider: ScimProvider, known: bool = True) -> None:
        super().__init__(storage, provider, Service(provider))
        self.handler = Handler(self.service, storage)
        self._known = known

    def check_auth(self, request: ScimRequest) -> None:
        if not self._known:
            raise UnauthorizedException(detail="a bearer token of a registered HR system, not revoked")


class ScimDoor:
    """Tells by the bearer token which HR system is there, reads on in the log, and hands over to its tenant."""

    def __init__(self, ledger: Callable[[], Ledger], seal: Callable[[], Seal]) -> None:
        self._ledger, self._seal, self.provider = ledger, seal, scim_provider()
        self._tenants: dict[str, Tenant] = {}
        self._nobody = Tenant(cast(Any, InMemoryStorage()), self.provider, known=False)
        self._lock = RLock()
        # its own: who waits here for a turn keeps nobody waiting at another door
        self._threads = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="scim")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await whole_body(receive)
        loop = asyncio.get_running_loop()
        for message in await loop.run_in_executor(self._threads, self._answered, scope, body):
            await send(message)

    def _answered(self, scope: Scope, body: bytes | None) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []

        async def tell(message: Any) -> None:
            told.append(message)

        driven(self._serve(scope, body, tell))
        return told

    async def _serve(self, scope: Scope, body: bytes | None, send: Send) -> None:
        try:
            tenant = self._tenant(bearer_token(scope))
        except SCIMException as error:
            await self._nobody.send_response(self._nobody.service.error_response(error), send)
            return
        if body is None:
            too_large = PayloadTooLargeException(detail=f"at most {LARGEST_BODY_BYTES} bytes")
            await tenant.send_response(tenant.service.error_response(too_large), send)
            return
        mended = normalised(scope["method"], scope["path"], body) if body and tenant is not self._nobody else body
        await tenant(dict(scope), said_again(mended), send)

    async def warm(self) -> None:
        """Open what each system has stored before its first request has to wait for that."""
        try:
            await asyncio.to_thread(self._warm)
        except Exception as error:  # what cannot be opened now is opened when it is asked for
            log.info("the resources of HR's systems are not read yet: %s", type(error).__name__)

    def _warm(self) -> None:
        register = self._ledger().hr()
        for system, known in list(register.systems.items()):
            if known.token_sha256:
                self._tenant_of(system, register)

    @reaching_the_log()
    def _tenant(self, token: str) -> Tenant:
        if not token:
            return self._nobody
        register = self._ledger().hr()
        system = register.system_of_token(hash_of_token(token))
        return self._tenant_of(system, register) if system else self._nobody

    def _tenant_of(self, system: str, register: HrRegister) -> Tenant:
        with self._lock:
            tenant = self._tenants.get(system) or self._tenants.setdefault(system, self._made(system))
        cast(LedgerStorage, tenant.storage).catch_up(register)
        return tenant

    def _made(self, system: str) -> Tenant:
        return Tenant(LedgerStorage(system, self._ledger(), self._seal(), self.provider), self.provider)


def bearer_token(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    scheme, _, token = given.partition(" ")
    return str(token.strip()) if scheme.casefold() == "bearer" else ""


async def whole_body(receive: Receive) -> bytes | None:
    """The body, or None where it is larger than anything this server takes."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= LARGEST_BODY_BYTES:
            parts.append(part)
    return b"".join(parts) if size <= LARGEST_BODY_BYTES else None


def said_again(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    messages: Iterator[dict[str, Any]] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    return receive
