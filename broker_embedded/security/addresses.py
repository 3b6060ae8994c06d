"""Addresses of hosts: one spelling, and whether others can reach them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def host_address(host: str) -> str:
    """An address in one spelling, so that all spellings compare equal; other text is left alone.

    >>> host_address("0:0:0:0:0:0:0:1"), host_address("::ffff:10.0.0.7"), host_address("*")
    ('::1', '10.0.0.7', '*')
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    address = host_address(host)
    return address in ("localhost", "::1") or address.startswith("127.")
