"""Where a subscriber may be: out there. An address inside is refused whatever its name says, and what was looked at is
what is connected to.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from domain.facts import Malformed

HTTPS, HTTP = 443, 80
NAT64 = IPv6Network("64:ff9b::/96")


class Inside(Exception):  # an answer, not an error
    """The address leads inside, or nowhere."""


class Target(NamedTuple):
    """A subscriber's address with the very host that was looked at."""

    url: str
    host: str
    header: str


def well_formed(url: str, inside_too: bool) -> str:
    """Malformed where nothing could ever be sent there."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Malformed("url", "that is no address", "https://hr.example.org/hooks") from None
    if parts.scheme not in (("https", "http") if inside_too else ("https",)) or not parts.hostname:
        raise Malformed("url", "webhooks go out over https", "https://hr.example.org/hooks")
    if parts.username or parts.password or parts.fragment or port == 0:
        raise Malformed("url", "the address has a user, a password or a fragment in it", "the address alone")
    return url


def looked_at(url: str, inside_too: bool) -> Target:
    """Resolved once; every address that the name has must be outside."""
    parts = urlsplit(well_formed(url, inside_too))
    host, port = parts.hostname or "", parts.port or (HTTPS if parts.scheme == "https" else HTTP)
    try:
        found = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Inside(f"{host} has no address ({type(error).__name__})") from None
    if not inside_too and any(is_inside(str(each)) for each in found):
        raise Inside(f"{host} leads inside")
    address = str(found[0])
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return Target(parts._replace(netloc=place).geturl(), host, parts.netloc)


def is_inside(text: str) -> bool:
    """Loopback, private, link-local, reserved, multicast; also where IPv6 only wraps such an address."""
    address = ip_address(text.partition("%")[0])
    return any(not each.is_global or each.is_multicast for each in (address, *wrapped_in(address)))


def wrapped_in(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(address, IPv4Address):
        return []
    teredo = address.teredo or ()
    found = [address.ipv4_mapped, address.sixtofour, *teredo]
    if address in NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]
