"""Every setting, in one typed struct: its type, default, bounds and meaning stand in one place.

A setting is given in code by its name or by Kafka's dotted name where there is one, in the environment as
`STREAMS_<NAME>`, or as a flag of the command line. A flag wins over the environment, the environment over code, code
over the default; each value remembers where it came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, get_args, get_origin

import msgspec
from msgspec import Meta

from streams.errors import ConfigError, did_you_mean
from streams.policies import DeadLetter, Policy, Retry, Skip, Stop, policy_from_text

Origin: TypeAlias = Literal["default", "code", "environment", "flag"]

ENVIRONMENT_PREFIX = "STREAMS_"


def _setting(text: str, kafka: str = "", **bounds: Any) -> Meta:
    return Meta(description=text, extra={"kafka": kafka}, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an app. Made by `load_settings`, which checks them.

    >>> settings = load_settings("flights", {"commit.interval.ms": 200}, environment={"STREAMS_LOG_LEVEL": "debug"})
    >>> settings.commit_interval_ms, settings.log_level, settings.data_dir
    (200, 'debug', './flights-data')
    >>> settings.origins["commit_interval_ms"], settings.origins["log_level"], settings.origins["data_dir"]
    ('code', 'environment', 'default')
    """

    id: Annotated[
        str, _setting("Name of the app: of its consumer group, and in front of its internal topics.", "application.id")
    ]
    broker: Annotated[
        str,
        _setting(
            '"embedded": the built-in broker, in data_dir. Or kafka://host:port,... for a cluster.', "bootstrap.servers"
        ),
    ] = "embedded"
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        _setting("How to get into the cluster.", "security.protocol"),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER"],
        _setting("How to prove who one is.", "sasl.mechanism"),
    ] = "PLAIN"
    sasl_username: Annotated[str, _setting("The user, with SASL.", "sasl.username")] = ""
    sasl_password: Annotated[
        str, _setting("The user's password; better in the environment than in code.", "sasl.password")
    ] = ""
    sasl_kerberos_service_name: Annotated[
        str, _setting("The brokers' Kerberos service, with GSSAPI.", "sasl.kerberos.service.name")
    ] = "kafka"
    sasl_kerberos_domain_name: Annotated[
        str,
        _setting("The brokers' Kerberos domain, with GSSAPI. Default: the host of each.", "sasl.kerberos.domain.name"),
    ] = ""
    sasl_oauth_token_provider: Annotated[
        Any,
        _setting(
            "Gives the token, with OAUTHBEARER: a function, async or not, that returns it; as text, module:function.",
            "sasl.oauth.token.provider",
        ),
    ] = ""
    ssl_ca_location: Annotated[
        str, _setting("PEM file of whom to trust, with TLS. Default: the system's.", "ssl.ca.location")
    ] = ""
    ssl_certificate_location: Annotated[
        str, _setting("PEM file of the own certificate, where the cluster asks for one.", "ssl.certificate.location")
    ] = ""
    ssl_key_location: Annotated[
        str, _setting("PEM file of the own key, if it is not in the certificate's.", "ssl.key.location")
    ] = ""
    ssl_key_password: Annotated[str, _setting("Password of the own key.", "ssl.key.password")] = ""
    ssl_endpoint_identification_algorithm: Annotated[
        Literal["https", ""],
        _setting(
            "https: the cluster's certificate has to name its host. Empty: any name will do.",
            "ssl.endpoint.identification.algorithm",
        ),
    ] = "https"
    ssl_cipher_suites: Annotated[
        str, _setting("Ciphers that TLS may use, as OpenSSL names them. Default: Python's.", "ssl.cipher.suites")
    ] = ""
    ssl_context: Annotated[
        Any,
        _setting(
            "A ready ssl.SSLContext, in place of all settings of TLS; as text, module:name of it or of a function that "
            "makes it.",
            "ssl.context",
        ),
    ] = ""
    client_id: Annotated[
        str, _setting("What the cluster calls this client in its logs and quotas. Default: the app's id.", "client.id")
    ] = ""
    request_timeout_ms: Annotated[
        int, _setting("So long an answer of the cluster is waited for.", "request.timeout.ms", ge=1)
    ] = 30_000
    retry_timeout_ms: Annotated[
        int,
        _setting(
            "So long a request is sent again while its error is of the kind that passes.",
            "default.api.timeout.ms",
            ge=1,
        ),
    ] = 60_000
    reconnect_backoff_ms: Annotated[
        int,
        _setting(
            "Before a request is sent again the first time; then twice as long each time.", "reconnect.backoff.ms", ge=1
        ),
    ] = 20
    reconnect_backoff_max_ms: Annotated[int, _setting("The longest such pause.", "reconnect.backoff.max.ms", ge=1)] = (
        1_000
    )
    metadata_max_age_ms: Annotated[
        int,
        _setting("Who leads which partition is asked again after so long, at the latest.", "metadata.max.age.ms", ge=1),
    ] = 300_000
    connections_max_idle_ms: Annotated[
        int, _setting("A connection without use is closed after so long.", "connections.max.idle.ms", ge=1)
    ] = 540_000
    data_dir: Annotated[
        str,
        _setting(
            "Folder of the stores, and of the built-in broker's log. Default: ./<id>-data.", "state.dir", min_length=1
        ),
    ] = ""
    processing_guarantee: Annotated[
        Literal["exactly_once", "at_least_once"],
        _setting(
            "exactly_once: outputs, changelogs and offsets in one transaction. at_least_once: without transactions, so "
            "that a crash may repeat records.",
            "processing.guarantee",
        ),
    ] = "exactly_once"
    commit_interval_ms: Annotated[
        int,
        _setting(
            "Commits come at the latest after so long; sooner when the input is drained.", "commit.interval.ms", ge=1
        ),
    ] = 100
    flush_on_commit: Annotated[
        bool, _setting("The built-in broker has a commit on disk before it answers: no commit is lost to a power cut.")
    ] = False
    on_error: Annotated[
        str | Stop | Skip | DeadLetter | Retry,
        _setting("What becomes of a record that can't be handled: stop, skip, dead-letter[:TOPIC], retry[:TIMES]."),
    ] = "stop"
    store: Annotated[
        Literal["rocksdb", "memory"], _setting("Where tables live. Memory is filled from the changelog at start.")
    ] = "rocksdb"
    state_memory_bytes: Annotated[
        int,
        _setting(
            "Memory of all RocksDB stores of a process together: cache, write buffers, groups at hand.", ge=1 << 20
        ),
    ] = 256 << 20
    uncommitted_entries_max: Annotated[
        int, _setting("So many changed entries in a task's stores force a commit.", ge=1)
    ] = 100_000
    uncommitted_bytes_max: Annotated[
        int, _setting("So many bytes of changed entries in a task's stores force a commit.", ge=1 << 10)
    ] = 64 << 20
    batch_records_max: Annotated[int, _setting("A batch has at most so many records.", "max.poll.records", ge=1)] = (
        16_384
    )
    max_task_idle_ms: Annotated[
        int,
        _setting(
            "So long a task waits for records that may yet come to an empty partition, so as to go by their "
            "timestamps; -1: not even for those that are known to be there.",
            "max.task.idle.ms",
            ge=-1,
        ),
    ] = 0
    idle_after_ms: Annotated[
        int, _setting("Behind a repartition, a writer without input for so long no longer holds time back.", ge=0)
    ] = 5_000
    source_idle_after_ms: Annotated[
        int,
        _setting(
            "A task without input for so long has its time go on without records: to where the others are, then with "
            "the clock on the wall, so that windows close and what waits for a match leaves; 0: never.",
            ge=0,
        ),
    ] = 0
    num_standby_replicas: Annotated[
        int,
        _setting(
            "So many other data folders keep a copy of each table up to date, to go on from when a worker is gone.",
            "num.standby.replicas",
            ge=0,
        ),
    ] = 0
    acceptable_recovery_lag: Annotated[
        int,
        _setting(
            "A task with tables moves to a worker whose copy lacks no more than so many records.",
            "acceptable.recovery.lag",
            ge=0,
        ),
    ] = 10_000
    max_warmup_replicas: Annotated[
        int,
        _setting("So many copies at a time are brought near the end for tasks to move.", "max.warmup.replicas", ge=1),
    ] = 2
    state_cleanup_delay_ms: Annotated[
        int,
        _setting(
            "Tables of a task that lie in a data folder, and that no worker there has had open for so long while one "
            "was at work, are removed: the task is elsewhere for good. 0: never.",
            "state.cleanup.delay.ms",
            ge=0,
        ),
    ] = 86_400_000
    session_timeout_ms: Annotated[
        int,
        _setting(
            "A worker of which the group has not heard for so long is given up, and its tasks go to the others.",
            "session.timeout.ms",
            ge=1,
        ),
    ] = 45_000
    heartbeat_interval_ms: Annotated[
        int,
        _setting(
            "How often a worker tells its group that it lives, and hears that tasks are to be shared anew.",
            "heartbeat.interval.ms",
            ge=1,
        ),
    ] = 3_000
    rebalance_timeout_ms: Annotated[
        int,
        _setting(
            "So long the others wait for a worker when tasks are shared anew: a record must not take longer.",
            "max.poll.interval.ms",
            ge=1,
        ),
    ] = 300_000
    transaction_timeout_ms: Annotated[
        int,
        _setting(
            "A transaction that is open for longer is ended by the broker: its worker has died, or stands still.",
            "transaction.timeout.ms",
            ge=1,
        ),
    ] = 10_000
    leave_on_stop: Annotated[
        bool | None,
        _setting(
            "Whether a worker that stops gives its tasks to the others at once. Default: only if it will not be known "
            "when it comes back, as in a new data folder.",
        ),
    ] = None
    ask_timeout_ms: Annotated[int, _setting("So long the answer of an agent is waited for (`agent.ask`).", ge=1)] = (
        30_000
    )
    default_partitions: Annotated[
        int, _setting("Partitions of a topic that the app makes and that doesn't say how many.", "num.partitions", ge=1)
    ] = 1
    replication_factor: Annotated[
        int,
        _setting(
            "Replicas of the topics that the app makes on a cluster; -1: as many as its brokers give by default.",
            "replication.factor",
            ge=-1,
        ),
    ] = -1
    min_insync_replicas: Annotated[
        int | None,
        _setting(
            "So many replicas of such a topic have to have a record before it is written. Default: the brokers'.",
            "min.insync.replicas",
        ),
    ] = None
    topic_configs: Annotated[
        Mapping[str, Mapping[str, str]],
        _setting(
            "Configs of topics that the app makes, by name of the topic, with Kafka's names, replication.factor too. "
            "They go before all else that is said of them. As text: JSON."
        ),
    ] = {}
    topology_optimization: Annotated[
        str,
        _setting(
            "Rules by which the topology is rewritten: all, none, or some of reuse_source_topics, merge_repartitions, "
            "filters_first, project_fields, with commas.",
            "topology.optimization",
        ),
    ] = "reuse_source_topics,filters_first"
    compiled: Annotated[
        Literal["auto", "off"],
        _setting(
            "auto: hot loops run compiled where the extra `fast` is installed. Until they are ready, and where they "
            "are off, all runs without, with the same results."
        ),
    ] = "auto"
    compiled_dir: Annotated[
        str,
        _setting(
            "Folder in which compiled loops are kept. Default: streams-engine/compiled in the user's cache folder."
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _setting("The least severe log lines that are written.")
    ] = "info"
    origins: Mapping[str, Origin] = {}

    @property
    def policy(self) -> Policy:
        """`on_error` as a policy.

        >>> load_settings("flights", {"on_error": "dead-letter"}, environment={}).policy
        DeadLetter(topic=None)
        """
        return policy_from_text(self.on_error) if isinstance(self.on_error, str) else self.on_error

    @property
    def optimisations(self) -> frozenset[str]:
        """`topology_optimization` as names of rules.

        >>> sorted(load_settings("flights", {"topology_optimization": "merge.repartition.topics"}).optimisations)
        ['merge_repartitions']
        """
        from streams.graph.optimise import rules_from_text

        return rules_from_text(self.topology_optimization)

    def with_values(self, values: Mapping[str, Any], origin: Origin = "code") -> Settings:
        """The same settings with `values` over them, whatever was there. Raises ConfigError as `load_settings` does.

        >>> load_settings("flights", environment={}).with_values({"log_level": "error"}, "flag").origins["log_level"]
        'flag'
        """
        checked = _checked(values, origin)
        return msgspec.structs.replace(self, **checked, origins={**self.origins, **dict.fromkeys(checked, origin)})


class SettingInfo(NamedTuple):
    """A setting as manual, flags and `streams config show` need it. `kafka` is Kafka's name, "" if it has none."""

    name: str
    type: Any
    default: Any
    description: str
    kafka: str

    @property
    def environment(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.name.replace("_", "-")


@cache  # to find the types of the fields takes 2 ms, which every app of a test suite would pay
def settings_info() -> tuple[SettingInfo, ...]:
    """All settings, in the order of the manual.

    >>> next(info for info in settings_info() if info.kafka == "commit.interval.ms").environment
    'STREAMS_COMMIT_INTERVAL_MS'
    """
    return tuple(map(_info, (field for field in msgspec.structs.fields(Settings) if field.name != "origins")))


def _info(field: msgspec.structs.FieldInfo) -> SettingInfo:
    meta: Meta = field.type.__metadata__[0]
    default = None if field.required else field.default
    return SettingInfo(field.name, field.type, default, meta.description or "", (meta.extra or {})["kafka"])


def load_settings(
    id: str, values: Mapping[str, Any] | None = None, *, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The settings of the app `id`: `values` from code, the environment over them.

    Raises ConfigError for a name that doesn't exist and for a value of a wrong type or out of bounds. An environment
    variable counts as a misspelt setting if it resembles one; others that begin with STREAMS_ are left alone.

    >>> load_settings("flights", {"comit_interval_ms": 5}, environment={})
    Traceback (most recent call last):
    streams.errors.ConfigError: no setting is called 'comit_interval_ms'. Did you mean 'commit_interval_ms'?
    """
    base = Settings(id=id, data_dir=f"./{id}-data", origins={info.name: "default" for info in settings_info()})
    in_code = base.with_values({"id": id, **(values or {})}, "code")
    return in_code.with_values(_from_environment(environment), "environment")


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = [info.name for info in settings_info()]
    found = {}
    for variable, text in environment.items():
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name == variable.lower():
            continue
        if name in names:
            found[name] = text
        elif near := did_you_mean(name, names):
            raise ConfigError(f"the environment variable {variable} is no setting.{near}")
    return found


def _checked(values: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    infos = {info.name: info for info in settings_info()}
    by_kafka_name = {info.kafka: info.name for info in infos.values() if info.kafka}
    checked: dict[str, Any] = {}
    for given, value in values.items():
        name = by_kafka_name.get(given, given)
        if name not in infos:
            raise ConfigError(f"no setting is called {given!r}.{did_you_mean(given, [*infos, *by_kafka_name])}")
        if name in checked:
            raise ConfigError(f"{name} is given twice, once as {given!r}.")
        checked[name] = _value(infos[name], given, value, origin)
    return checked


def _value(info: SettingInfo, given: str, value: Any, origin: Origin) -> Any:
    source = {"environment": info.environment, "flag": info.flag}.get(origin, given)
    if info.name == "on_error":
        return _policy(value, source)
    if given == "bootstrap.servers" and isinstance(value, str) and "://" not in value:
        value = f"kafka://{value}"
    if info.name == "processing_guarantee" and value == "exactly_once_v2":
        value = "exactly_once"
    if info.name == "topic_configs":
        value = _topic_configs(value, source)
    try:
        made = msgspec.convert(value, info.type, strict=origin == "code")
        if info.name == "topology_optimization":
            from streams.graph.optimise import rules_from_text

            rules_from_text(made)
        return made
    except msgspec.ValidationError as error:
        kind = get_args(info.type)[0] if get_origin(info.type) is Annotated else info.type
        takes = f" It takes {', '.join(get_args(kind))}." if get_origin(kind) is Literal else ""
        raise ConfigError(f"{source}={value!r}: {error}.{takes} {info.description}") from None


def _topic_configs(value: Any, source: str) -> Any:
    """Numbers and truth values as Kafka writes them; text is JSON."""
    try:
        found = msgspec.json.decode(value) if isinstance(value, str) else value
        rows = {topic: dict(configs) for topic, configs in found.items()}
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f'{source}={value!r}: {error}. Give configs by topic: {{"orders": {{"segment.bytes": "1048576"}}}}.'
        ) from None
    return {
        topic: {name: str(one).lower() if isinstance(one, bool) else str(one) for name, one in configs.items()}
        for topic, configs in rows.items()
    }


def _policy(value: Any, source: str) -> Any:
    if isinstance(value, Policy):
        return value
    if not isinstance(value, str):
        raise ConfigError(
            f"{source}={value!r}: give streams.stop(), skip(), dead_letter() or retry(), or its name as text."
        )
    policy_from_text(value)
    return value
