"""Which hosts are private: literal addresses in any notation, and names that resolve to them."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from airflow_provider_faceswap.http.limits import in_thread

#: Seconds that the look-up of a name may take. Without a name server it would take much longer.
LONGEST_LOOKUP = 1.0

#: Names whose look-up took longer in this process. They are not looked up again.
_slow: set[str] = set()

#: Networks whose IPv6 addresses stand for the IPv4 address in their last 32 bits: IPv4-mapped, IPv4-compatible,
#: IPv4-translated (RFC 4291, RFC 7915), and NAT64, through which networks without IPv4 reach all of it (RFC 6052).
_LAST_BITS = tuple(map(IPv6Network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
#: The middle of an ISATAP address, whose last 32 bits are an IPv4 address too (RFC 5214), and the bit that may vary.
_ISATAP, _ISATAP_MASK = 0x00005EFE, 0xFDFFFFFF
#: Networks that Python's own tables take for public in some versions: those of the registries of special-purpose
#: addresses (RFC 6890), local NAT64 (RFC 8215), and the address of Azure's platform inside each virtual machine.
_NOT_PUBLIC_4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("64:ff9b:1::/48", "3fff::/20", "5f00::/16")))


def is_loopback(host: str) -> bool:
    """True if a host, as it is written, is this machine."""
    if _is_localhost(host):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """
    True for localhost and for a literal address that is not public; false for another name.

    An IPv6 address that contains IPv4 addresses is as public as these.
    """
    if _is_localhost(host):
        return True
    address = _address(host)
    if address is None:
        return False
    if isinstance(address, IPv4Address):
        return not _is_public_4(address)
    inner, stands_alone = _addresses_within(address)
    if not all(map(_is_public_4, inner)):
        return True
    return stands_alone and not _is_public_6(address)


def _is_public_4(address: IPv4Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC_4):
        return False
    return address.is_global and not address.is_multicast


def _is_public_6(address: IPv6Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC_6):
        return False
    return address.is_global and not address.is_multicast and not address.is_site_local


def _addresses_within(address: IPv6Address) -> tuple[list[IPv4Address], bool]:
    """The IPv4 addresses that an IPv6 address leads to, and whether it is an address of a network of its own too."""
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _LAST_BITS):
        return [last], False
    inner = [last] if int(address) >> 32 & _ISATAP_MASK == _ISATAP else []
    tunnel = [address.sixtofour] if address.sixtofour else list(address.teredo or ())
    return [*inner, *tunnel], not tunnel


def resolves_to_private(host: str) -> bool:
    """True if a host has a private address; false if its name cannot be resolved soon."""
    if is_private(host) or host in _slow:
        return is_private(host)
    try:
        found = in_thread(partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM), LONGEST_LOOKUP)
    except TimeoutError:
        _slow.add(host)
        return False
    except (OSError, UnicodeError):
        return False
    return any(is_private(str(entry[4][0])) for entry in found)


def _is_localhost(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """A literal address, of which the old notations 127.1 and 2130706433 are some; ``None`` for a name."""
    host = host.rstrip(".")
    with suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
