"""How to get into a secured cluster: Kafka's settings as what aiokafka's clients take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
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
    "ssl.cipher.suites": None,
    "ssl.context": None,
    "sasl.kerberos.service.name": None,
    "sasl.kerberos.domain.name": None,
    "sasl.oauth.token.provider": None,
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


def security_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What aiokafka's clients need for `properties`, by the names in `NAMES`; empty for none.

    Raises ConfigError for settings that do not fit together.

    >>> security_of({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
    ...              "sasl.username": "ada", "sasl.password": "difference"})["sasl_plain_username"]
    'ada'
    """
    protocol = properties.get("security.protocol", "PLAINTEXT")
    found: dict[str, Any] = {} if protocol == "PLAINTEXT" else {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        mechanism = properties.get("sasl.mechanism", "PLAIN")
        found |= {"sasl_mechanism": mechanism} | _MECHANISMS.get(mechanism, _user)(protocol, properties)
    if protocol.endswith("SSL"):
        found["ssl_context"] = _ssl_context(properties)
    return found


def _user(protocol: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    if not properties.get("sasl.username") or not properties.get("sasl.password"):
        raise ConfigError(f"security.protocol={protocol} needs a user: sasl.username and sasl.password")
    return {
        "sasl_plain_username": properties["sasl.username"],
        "sasl_plain_password": properties["sasl.password"],
    }


def _kerberos(protocol: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    if find_spec("gssapi") is None:
        raise ConfigError(
            "sasl.mechanism=GSSAPI speaks Kerberos by the package gssapi, which is not here: `pip install gssapi` (it "
            "needs the system's Kerberos library), and get a ticket with `kinit`."
        )
    return {
        "sasl_kerberos_service_name": properties.get("sasl.kerberos.service.name", "kafka"),
        "sasl_kerberos_domain_name": properties.get("sasl.kerberos.domain.name") or None,
    }


def _token(protocol: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    given = properties.get("sasl.oauth.token.provider")
    if not given:
        raise ConfigError(
            "sasl.mechanism=OAUTHBEARER needs sasl.oauth.token.provider: a function, async or not, that returns one."
        )
    from streams.transport.kafka.tokens import provider

    return {"sasl_oauth_token_provider": provider(named("sasl.oauth.token.provider", given))}


_MECHANISMS = {"GSSAPI": _kerberos, "OAUTHBEARER": _token}


def named(setting: str, value: Any) -> Any:
    """What text names as module:attribute; anything else is what is meant itself. Raises ConfigError.

    >>> named("ssl.context", "ssl:create_default_context").__name__
    'create_default_context'
    """
    if not isinstance(value, str):
        return value
    module, _, attribute = value.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{setting}={value!r} is to be module:attribute: {error}") from error


def _ssl_context(properties: Mapping[str, Any]) -> ssl.SSLContext:
    import ssl

    if ready := properties.get("ssl.context"):
        made = named("ssl.context", ready)
        context = made if isinstance(made, ssl.SSLContext) else made()
        if not isinstance(context, ssl.SSLContext):
            raise ConfigError(f"ssl.context is {type(context).__name__}, and is to be an ssl.SSLContext.")
        return context
    trusted, certificate = properties.get("ssl.ca.location"), properties.get("ssl.certificate.location")
    try:
        context = ssl.create_default_context(cafile=trusted)
        if certificate:
            key = properties.get("ssl.key.location")
            context.load_cert_chain(certificate, key, properties.get("ssl.key.password"))
        if ciphers := properties.get("ssl.cipher.suites"):
            context.set_ciphers(ciphers)
    except (OSError, ssl.SSLError) as error:
        what = ", ".join(filter(None, (trusted, certificate, properties.get("ssl.cipher.suites"))))
        raise ConfigError(f"TLS ({what}): {error}") from error
    if properties.get("ssl.endpoint.identification.algorithm", "https") == "":
        context.check_hostname = False
    return context
