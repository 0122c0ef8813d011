"""What the vendors really send, put into the words of RFC 7644 before the server reads it; no state is known here.

Entra: keys with dots or filters in a value without path, the manager as a string or a list, members removed by a list
of values, booleans as words, null where something is to be cleared. Okta: read-only attributes sent back. A value on a
remove says what to remove; it is never ignored, for without it everything would go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER = f"{ENTERPRISE}:manager"
READ_ONLY = {"id", "meta", "schemas", "groups"}
WORDS = {"true": True, "false": False}
LISTS = {
    "members", "emails", "phonenumbers", "addresses", "roles", "entitlements", "ims", "photos", "x509certificates",
}  # fmt: skip
BOOLEANS = {"active", "primary"}
QUOTED_BOOLEAN = re.compile(r'\b((?:primary|active)\s+eq\s+)"(true|false)"', re.IGNORECASE)
# accepted by the server as a change of nothing
NOTHING = {"op": "add", "value": {}}


def normalised(method: str, path: str, body: bytes) -> bytes:
    """The same request as the RFC has it; what is no JSON object is left for the server to refuse."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(sent, dict):
        return body
    return json.dumps(bulk_mended(sent) if path.rstrip("/").endswith("/Bulk") else mended(method, sent)).encode()


def bulk_mended(sent: dict[str, Any]) -> dict[str, Any]:
    operations = sent.get("Operations")
    if not isinstance(operations, list):
        return sent
    return sent | {"Operations": [bulk_operation_mended(each) for each in operations]}


def bulk_operation_mended(operation: Any) -> Any:
    if not isinstance(operation, dict) or not isinstance(operation.get("data"), dict):
        return operation
    return operation | {"data": mended(str(operation.get("method", "")), operation["data"])}


def mended(method: str, sent: dict[str, Any]) -> dict[str, Any]:
    if method.upper() != "PATCH":
        return resource_mended(sent)
    name = next((key for key in sent if key.casefold() == "operations"), None)
    if name is None or not isinstance(sent[name], list) or not sent[name]:
        return sent
    return sent | {name: [each for operation in sent[name] for each in operations_mended(operation)] or [NOTHING]}


def resource_mended(sent: dict[str, Any]) -> dict[str, Any]:
    """A whole resource, or the value of a change without path."""
    resource = {key: value_mended(key, value) for key, value in sent.items()}
    if isinstance(extension := resource.get(ENTERPRISE), dict):
        resource[ENTERPRISE] = {key: value_mended(key, value) for key, value in extension.items()}
    if resource.get("active", True) is None:
        del resource["active"]
    return resource


def value_mended(key: str, value: Any) -> Any:
    name = key.rpartition(":")[2].rpartition(".")[2].casefold()
    if name in BOOLEANS and isinstance(value, str):
        return WORDS.get(value.casefold(), value)
    if name == "manager":
        return manager_mended(value)
    if isinstance(value, list):
        return [with_booleans(each) for each in value]
    return value


def with_booleans(element: Any) -> Any:
    return {key: value_mended(key, value) for key, value in element.items()} if isinstance(element, dict) else element


def manager_mended(value: Any) -> Any:
    """A manager is one object with a value: not a string, nor a list of one."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else value
    if isinstance(value, str):
        return {"value": value} if value else None
    return value


def operations_mended(operation: Any) -> Iterator[Any]:
    if not isinstance(operation, dict):
        yield operation
        return
    said = {key.casefold(): value for key, value in operation.items()}
    what, path, value = str(said.get("op", "")).casefold(), said.get("path"), said.get("value")
    if what == "remove" and "value" in said and isinstance(path, str):
        yield from removals(path, value)
    elif not path and isinstance(value, dict) and what in ("add", "replace"):
        yield from split(what, value)
    elif isinstance(path, str):
        yield setting(what, path, said)
    else:
        yield operation


def setting(what: str, path: str, said: dict[str, Any]) -> dict[str, Any]:
    path = QUOTED_BOOLEAN.sub(lambda found: found[1] + found[2].lower(), MANAGER if path == "manager" else path)
    if what == "remove" or "value" not in said:
        return {**said, "path": path}
    value = value_mended(path.partition("[")[0] if path.endswith("]") else path, said["value"])
    # null clears, whether it is called an addition or a replacement
    return {"op": "replace" if value is None else what, "path": path, "value": value}


def split(what: str, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A change without path: plain names stay together, each path that stands as a key becomes a change of its own."""
    plain = {key: each for key, each in value.items() if key not in READ_ONLY and not is_a_path(key)}
    if plain:
        yield {"op": what, "value": resource_mended(plain)}
    yield from (setting(what, key, {"value": each}) for key, each in value.items() if is_a_path(key))


def is_a_path(key: str) -> bool:
    if key.casefold().startswith("urn:"):
        return not key.casefold().endswith((":user", ":group"))
    return "." in key or "[" in key


def removals(path: str, value: Any) -> Iterator[dict[str, Any]]:
    """One removal for each value that is named. An empty list names none, and removes none."""
    if value is None or path.casefold() not in LISTS:
        yield setting("remove", path, {"op": "remove"})
        return
    for each in value if isinstance(value, list) else [value]:
        yield {"op": "remove", "path": f"{path}[{as_filter(each)}]"}


def as_filter(element: Any) -> str:
    """Nothing where it cannot be told which is meant: the server refuses an empty filter, and nothing is removed."""
    said = element if isinstance(element, dict) else {"value": element}
    told = [(key, said[key]) for key in ("value", "type") if isinstance(said.get(key), str)]
    return " and ".join(f"{key} eq {json.dumps(each)}" for key, each in told)
