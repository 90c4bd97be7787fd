"""Which hosts are private: literal addresses in any notation, and names that resolve to them."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from functools import partial

from airflow_provider_faceswap.http.limits import in_thread

#: Seconds that the look-up of a name may take. Without a name server it would take much longer.
LONGEST_LOOKUP = 1.0

#: Names whose look-up took longer in this process. They are not looked up again.
_slow: set[str] = set()

#: IPv6 networks whose addresses contain an IPv4 address: NAT64, its local form, 6to4.
_IPV4_IN_IPV6 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))


def is_loopback(host: str) -> bool:
    """True if a host, as it is written, is this machine."""
    if _is_localhost(host):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """True for localhost and for a literal address that is not public; false for another name."""
    if _is_localhost(host):
        return True
    address = _address(host)
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (
        address.is_site_local or any(address in network for network in _IPV4_IN_IPV6)
    ):
        return True
    return not address.is_global or address.is_multicast


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


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """A literal address, of which the old notations 127.1 and 2130706433 are some; ``None`` for a name."""
    with suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
