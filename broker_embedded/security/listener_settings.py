"""Listeners out of settings as they stand in Kafka's `server.properties`.

A setting may be for one listener: `listener.name.<name in small letters>.<setting>`, and for one of its mechanisms:
`listener.name.<name>.<mechanism>.sasl.jaas.config` (KIP-103, KIP-85).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from broker_embedded.security.exchange import PLAIN, SASL_MECHANISMS
from broker_embedded.security.listeners import Listener, SecurityProtocol
from broker_embedded.security.tls import Tls

Properties = Mapping[str, str]

_ADDRESS: Final = re.compile(r"(?P<name>[^:/\s]+)://(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>\d+)")
_JAAS_USER: Final = re.compile(r"""\buser_(?P<name>[^\s=]+)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s;"]+))""")


class ListenerConfigError(ValueError):
    """The settings of listeners do not fit together; the message names the setting."""


def parse_listeners(properties: Properties) -> tuple[Listener, ...]:
    """The listeners that settings with Kafka's names ask for; the default is one on 127.0.0.1, port 9092.

    Raises ListenerConfigError, or TlsConfigError for settings of TLS.

    >>> one, two = parse_listeners({
    ...     "listeners": "PLAINTEXT://127.0.0.1:9092,CLIENTS://:9093",
    ...     "advertised.listeners": "CLIENTS://kafka.example.org:443",
    ...     "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT",
    ...     "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    ... })
    >>> two.host, two.port, two.advertised_host, two.protocol.name, two.sasl_mechanisms
    ('', 9093, 'kafka.example.org', 'SASL_PLAINTEXT', ('SCRAM-SHA-512',))
    """
    protocols = _protocols(properties.get("listener.security.protocol.map", ""))
    addresses = _addresses("listeners", properties.get("listeners") or "PLAINTEXT://127.0.0.1:9092")
    advertised = _addresses("advertised.listeners", properties.get("advertised.listeners", ""))
    unknown = advertised.keys() - addresses.keys()
    if unknown:
        raise ListenerConfigError(f"advertised.listeners names {sorted(unknown)}, which listeners does not have")
    return tuple(
        _listener(name, address, advertised.get(name), protocols, properties) for name, address in addresses.items()
    )


def _listener(
    name: str,
    address: tuple[str, int],
    advertised: tuple[str, int] | None,
    protocols: Mapping[str, SecurityProtocol],
    properties: Properties,
) -> Listener:
    protocol = protocols.get(name)
    if protocol is None:
        raise ListenerConfigError(
            f"listener {name} has no security protocol: name it in listener.security.protocol.map "
            f"({name}:{SecurityProtocol.SASL_SSL.value}, for example)"
        )
    own = _for_listener(properties, name)
    mechanisms = _mechanisms(name, own) if protocol.has_sasl else SASL_MECHANISMS
    return Listener(
        name,
        *address,
        protocol=protocol,
        advertised_host=advertised[0] if advertised else None,
        advertised_port=advertised[1] if advertised else None,
        tls=_tls(own) if protocol.has_tls else None,
        sasl_mechanisms=mechanisms,
        plain_users=jaas_users(own.get("plain.sasl.jaas.config", "")),
        connections_max_reauth_ms=int(own.get("connections.max.reauth.ms", "0")),
    )


def _for_listener(properties: Properties, name: str) -> dict[str, str]:
    """The settings as this listener sees them: its own in the place of those for all."""
    prefix = f"listener.name.{name.lower()}."
    own = {key.removeprefix(prefix): value for key, value in properties.items() if key.startswith(prefix)}
    return {**properties, **own}


def _protocols(text: str) -> dict[str, SecurityProtocol]:
    found = {protocol.value: protocol for protocol in SecurityProtocol}
    for pair in _list(text):
        name, _, value = pair.partition(":")
        try:
            found[name.strip()] = SecurityProtocol(value.strip().upper())
        except ValueError:
            raise ListenerConfigError(
                f"listener.security.protocol.map: {pair!r} is not name:protocol, with one of the protocols "
                f"{', '.join(protocol.value for protocol in SecurityProtocol)}"
            ) from None
    return found


def _addresses(setting: str, text: str) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for entry in _list(text):
        address = _ADDRESS.fullmatch(entry)
        if address is None or int(address["port"]) > 65_535:
            raise ListenerConfigError(f"{setting}: {entry!r} is not NAME://host:port")
        name = address["name"].upper()
        if name in found:
            raise ListenerConfigError(f"{setting} names {name} twice")
        found[name] = (address["host"].strip("[]"), int(address["port"]))
    return found


def _mechanisms(name: str, own: Properties) -> tuple[str, ...]:
    mechanisms = tuple(_list(own.get("sasl.enabled.mechanisms", ""))) or SASL_MECHANISMS
    for mechanism in mechanisms:
        if mechanism not in SASL_MECHANISMS:
            raise ListenerConfigError(
                f"listener {name}: sasl.enabled.mechanisms has {mechanism}, which is not served; these are: "
                f"{', '.join(SASL_MECHANISMS)}"
            )
    if mechanisms == (PLAIN,) and not jaas_users(own.get("plain.sasl.jaas.config", "")):
        raise ListenerConfigError(
            f"listener {name} has no user: set listener.name.{name.lower()}.plain.sasl.jaas.config to "
            "'org.apache.kafka.common.security.plain.PlainLoginModule required user_ada=\"her password\";'"
        )
    return mechanisms


def jaas_users(text: str) -> dict[str, str]:
    """The users and passwords (`user_<name>="<password>"`) of a JAAS setting for PLAIN.

    >>> jaas_users('PlainLoginModule required username="me" password="mine" user_me="mine" user_ada="difference";')
    {'me': 'mine', 'ada': 'difference'}
    """
    found = _JAAS_USER.finditer(text)
    return {user["name"]: user["quoted"] if user["quoted"] is not None else user["bare"] for user in found}


def _tls(own: Properties) -> Tls:
    def path(key: str) -> Path | None:
        return Path(own[key]) if own.get(key) else None

    return Tls(
        keystore_location=path("ssl.keystore.location"),
        keystore_certificate_chain=own.get("ssl.keystore.certificate.chain"),
        keystore_key=own.get("ssl.keystore.key"),
        keystore_key_location=path("ssl.keystore.key.location"),
        keystore_password=own.get("ssl.keystore.password"),
        key_password=own.get("ssl.key.password"),
        truststore_location=path("ssl.truststore.location"),
        truststore_certificates=own.get("ssl.truststore.certificates"),
        truststore_password=own.get("ssl.truststore.password"),
        client_auth=own.get("ssl.client.auth", "none"),
        enabled_protocols=tuple(_list(own.get("ssl.enabled.protocols", "TLSv1.2,TLSv1.3"))),
        principal_mapping_rules=own.get("ssl.principal.mapping.rules", "DEFAULT"),
    )


def _list(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]
