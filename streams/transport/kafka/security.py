"""How to get into a secured cluster: Kafka's settings as what aiokafka's clients take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streams.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import ssl

# As librdkafka has them, which are our settings; beside each what Kafka's Java clients have for it, in PEM.
NAMES = {
    "security.protocol": None,
    "sasl.mechanism": None,
    "sasl.username": None,
    "sasl.password": None,
    "ssl.ca.location": "ssl.truststore.location",
    "ssl.certificate.location": "ssl.keystore.location",
    "ssl.key.location": None,
    "ssl.key.password": None,
    "ssl.endpoint.identification.algorithm": None,
}
_TYPES = ("ssl.truststore.type", "ssl.keystore.type")
_JAAS = "sasl.jaas.config"
_JAAS_PAIR = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;]+))""")


def translated(properties: Mapping[str, str]) -> dict[str, str]:
    """The settings of a file for Kafka's Java tools by our names. Raises ConfigError for one that has no meaning here.

    >>> translated({"sasl.jaas.config": 'org.X required username="ada" password="difference";'})
    {'sasl.username': 'ada', 'sasl.password': 'difference'}
    """
    ours = {java: name for name, java in NAMES.items() if java is not None}
    found: dict[str, str] = {}
    for name, value in properties.items():
        if name == _JAAS:
            pairs = {key: one or two or three for key, one, two, three in _JAAS_PAIR.findall(value)}
            found |= {f"sasl.{key}": pairs[key] for key in ("username", "password") if key in pairs}
        elif name in _TYPES:
            if value != "PEM":
                raise ConfigError(f"{name}={value!r}: Python reads PEM files; convert the store (keytool, openssl)")
        elif name in NAMES or name in ours:
            found[ours.get(name, name)] = value
        else:
            known = [*NAMES, *ours, *_TYPES, _JAAS]
            raise ConfigError(f"{name!r} is no setting of a connection.{did_you_mean(name, known)}")
    return found


def security_of(properties: Mapping[str, str]) -> dict[str, Any]:
    """What aiokafka's clients need for `properties`, by the names in `NAMES`; empty for none.

    Raises ConfigError for settings that do not fit together.

    >>> security_of({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
    ...              "sasl.username": "ada", "sasl.password": "difference"})["sasl_plain_username"]
    'ada'
    """
    protocol = properties.get("security.protocol", "PLAINTEXT")
    found: dict[str, Any] = {} if protocol == "PLAINTEXT" else {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        if not properties.get("sasl.username") or not properties.get("sasl.password"):
            raise ConfigError(f"security.protocol={protocol} needs a user: sasl.username and sasl.password")
        found["sasl_mechanism"] = properties.get("sasl.mechanism", "PLAIN")
        found["sasl_plain_username"] = properties["sasl.username"]
        found["sasl_plain_password"] = properties["sasl.password"]
    if protocol.endswith("SSL"):
        found["ssl_context"] = _ssl_context(properties)
    return found


def _ssl_context(properties: Mapping[str, str]) -> ssl.SSLContext:
    import ssl

    trusted, certificate = properties.get("ssl.ca.location"), properties.get("ssl.certificate.location")
    try:
        context = ssl.create_default_context(cafile=trusted)
        if certificate:
            key = properties.get("ssl.key.location")
            context.load_cert_chain(certificate, key, properties.get("ssl.key.password"))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS ({', '.join(filter(None, (trusted, certificate)))}): {error}") from error
    if properties.get("ssl.endpoint.identification.algorithm", "https") == "":
        context.check_hostname = False
    return context
