"""IP addresses, as sockets and settings write them."""

import ipaddress


def plain_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address; one of IPv4 as such, also where it is written as one of IPv6.

    Raises: ValueError: it is none.

    >>> plain_address("::ffff:192.0.2.7"), plain_address("fe80::1%eth0")
    (IPv4Address('192.0.2.7'), IPv6Address('fe80::1'))
    """
    place = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(place, "ipv4_mapped", None)
    return mapped or place


def is_same_address(one: str, other: str) -> bool:
    """Return whether two texts are the same address; what is no address is like none.

    >>> is_same_address("::ffff:127.0.0.1", "127.0.0.1"), is_same_address("", "127.0.0.1")
    (True, False)
    """
    try:
        return plain_address(one) == plain_address(other)
    except ValueError:
        return False


def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own; what is no address is not.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("192.0.2.7"), is_loopback("")
    (True, True, False, False)
    """
    try:
        return plain_address(address).is_loopback
    except ValueError:
        return False
