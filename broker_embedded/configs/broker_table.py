"""Kafka's settings of a broker that mean something here: name, type, default, valid values, documentation.

Those that are defaults of topic configs (`log.retention.bytes`) are made from the table of topic configs.
"""

from __future__ import annotations

from typing import Final

from broker_embedded.configs.definitions import Definition, read_table
from broker_embedded.configs.topics import BROKER_NAMES, TOPIC_CONFIGS

_IDENTITY: Final = """
broker.id | int | -1 | | the same as node.id
broker.rack | string | - | | rack of this broker, as told to clients
controller.listener.names | list | - | | no effect: the controller is in the same process
controller.quorum.bootstrap.servers | list | | | no effect on a single broker
controller.quorum.voters | list | | | no effect on a single broker
inter.broker.listener.name | string | - | | no effect on a single broker
log.dir | list | /tmp/kafka-logs | | the data folder, unless log.dirs says it
log.dirs | list | - | | the data folder
node.id | int | - | >= 0 | number of this broker
process.roles | list | - | list of broker, controller | this broker is both
"""

_TOPICS: Final = """
auto.create.topics.enable | boolean | true | | whether a topic is made when a client first asks for it
default.replication.factor | int | 1 | | replicas of a topic that says nothing; more than one is one here
delete.topic.enable | boolean | true | | whether topics may be deleted
max.request.partition.size.limit | int | 2000 | >= 1 | partitions in an answer of DescribeTopicPartitions, at most
num.partitions | int | 1 | >= 1 | partitions of a topic that says nothing
"""

# Of a topic's `retention.ms` and the like a broker has several settings: the first that is set counts.
_LOG: Final = """
log.cleaner.backoff.ms | long | 15000 | >= 0 | how long the cleaner rests when there is nothing to compact
log.cleaner.dedupe.buffer.size | long | 134217728 | | memory for the keys of one compaction
log.cleaner.enable | boolean | true | | whether logs are compacted
log.cleaner.io.buffer.load.factor | double | 0.9 | | no effect: the cleaner's memory is as big as needed
log.cleaner.io.buffer.size | int | 524288 | >= 0 | no effect: compactions read what they need
log.cleaner.io.max.bytes.per.second | double | 1.7976931348623157E308 | | no effect: compactions make way for requests
log.cleaner.threads | int | 1 | >= 0 | no effect: one log is compacted at a time
log.flush.offset.checkpoint.interval.ms | int | 60000 | >= 0 | no effect: once a minute
log.flush.scheduler.interval.ms | long | 9223372036854775807 | | default of log.flush.interval.ms
log.flush.start.offset.checkpoint.interval.ms | int | 60000 | >= 0 | no effect: once a minute
log.retention.check.interval.ms | long | 300000 | >= 1 | how often retention is enforced
log.retention.hours | int | 168 | | log.retention.ms in hours, if neither that nor minutes are set
log.retention.minutes | int | - | | log.retention.ms in minutes, if that is not set
log.roll.hours | int | 168 | >= 1 | log.roll.ms in hours, if that is not set
log.roll.jitter.hours | int | 0 | >= 0 | no effect: segments are begun when due
"""

_GROUPS: Final = """
group.consumer.assignment.interval.ms | int | 1000 | >= 0 | time between assignments of a consumer group
group.consumer.assignors | list | uniform,range | | assignors of consumer groups, the default one first
group.consumer.heartbeat.interval.ms | int | 5000 | >= 1 | how often members of consumer groups are to be heard of
group.consumer.max.assignment.interval.ms | int | 15000 | >= 0 | bound for consumer.assignment.interval.ms
group.consumer.max.heartbeat.interval.ms | int | 15000 | >= 1 | bound for consumer.heartbeat.interval.ms
group.consumer.max.session.timeout.ms | int | 60000 | >= 1 | bound for consumer.session.timeout.ms
group.consumer.max.size | int | 2147483647 | >= 1 | members of a consumer group, at most
group.consumer.migration.policy | string | bidirectional | any case of {policies} | may groups change their protocol
group.consumer.min.assignment.interval.ms | int | 0 | >= 0 | bound for consumer.assignment.interval.ms
group.consumer.min.heartbeat.interval.ms | int | 5000 | >= 1 | bound for consumer.heartbeat.interval.ms
group.consumer.min.session.timeout.ms | int | 45000 | >= 1 | bound for consumer.session.timeout.ms
group.consumer.session.timeout.ms | int | 45000 | >= 1 | a member of a consumer group not heard of for so long is gone
group.coordinator.rebalance.protocols | list | classic,consumer,streams | | kinds of groups in Kafka; not ours
group.initial.rebalance.delay.ms | int | 3000 | | how long an empty classic group waits for more members
group.max.session.timeout.ms | int | 1800000 | | bound for session timeouts in classic groups
group.max.size | int | 2147483647 | >= 1 | members of a classic group, at most
group.min.session.timeout.ms | int | 6000 | | bound for session timeouts in classic groups
group.share.assignment.interval.ms | int | 1000 | >= 0 | time between assignments of a share group
group.share.delivery.count.limit | int | 5 | 2 to 10 | how often a share group delivers a record
group.share.heartbeat.interval.ms | int | 5000 | >= 1 | how often members of share groups are to be heard of
group.share.max.assignment.interval.ms | int | 15000 | >= 0 | bound for share.assignment.interval.ms
group.share.max.delivery.count.limit | int | 10 | 5 to 25 | bound for share.delivery.count.limit
group.share.max.heartbeat.interval.ms | int | 15000 | >= 1 | bound for share.heartbeat.interval.ms
group.share.max.partition.max.record.locks | int | 4000 | 2000 to 10000 | bound for share.partition.max.record.locks
group.share.max.record.lock.duration.ms | int | 60000 | 30000 to 3600000 | bound for share.record.lock.duration.ms
group.share.max.session.timeout.ms | int | 60000 | >= 1 | bound for share.session.timeout.ms
group.share.min.assignment.interval.ms | int | 0 | >= 0 | bound for share.assignment.interval.ms
group.share.min.delivery.count.limit | int | 2 | 2 to 5 | bound for share.delivery.count.limit
group.share.min.heartbeat.interval.ms | int | 5000 | >= 1 | bound for share.heartbeat.interval.ms
group.share.min.partition.max.record.locks | int | 100 | 100 to 2000 | bound for share.partition.max.record.locks
group.share.min.record.lock.duration.ms | int | 15000 | 1000 to 30000 | bound for share.record.lock.duration.ms
group.share.min.session.timeout.ms | int | 45000 | >= 1 | bound for share.session.timeout.ms
group.share.partition.max.record.locks | int | 2000 | 100 to 10000 | records of a partition locked at a time, at most
group.share.record.lock.duration.ms | int | 30000 | 1000 to 3600000 | how long a delivered record is locked
group.share.session.timeout.ms | int | 45000 | >= 1 | a member of a share group not heard of for so long is gone
group.streams.assignment.interval.ms | int | 1000 | >= 0 | time between assignments of a streams group
group.streams.heartbeat.interval.ms | int | 5000 | >= 1 | how often members of streams groups are to be heard of
group.streams.initial.rebalance.delay.ms | int | 3000 | >= 0 | how long a new streams group waits for more members
group.streams.max.assignment.interval.ms | int | 15000 | >= 0 | bound for streams.assignment.interval.ms
group.streams.max.heartbeat.interval.ms | int | 15000 | >= 1 | bound for streams.heartbeat.interval.ms
group.streams.max.session.timeout.ms | int | 60000 | >= 1 | bound for streams.session.timeout.ms
group.streams.max.standby.replicas | int | 2 | >= 0 | bound for streams.num.standby.replicas
group.streams.min.assignment.interval.ms | int | 0 | >= 0 | bound for streams.assignment.interval.ms
group.streams.min.heartbeat.interval.ms | int | 5000 | >= 1 | bound for streams.heartbeat.interval.ms
group.streams.min.session.timeout.ms | int | 45000 | >= 1 | bound for streams.session.timeout.ms
group.streams.num.standby.replicas | int | 0 | >= 0 | standbys of each task of a streams group
group.streams.session.timeout.ms | int | 45000 | >= 1 | a member of a streams group not heard of for so long is gone
offset.metadata.max.bytes | int | 4096 | | length of the text that may come with a committed offset
offsets.retention.check.interval.ms | long | 600000 | >= 1 | how often expired offsets are looked for
offsets.retention.minutes | int | 10080 | >= 1 | how long offsets of an empty group are kept
offsets.topic.num.partitions | int | 50 | >= 1 | partitions of __consumer_offsets
offsets.topic.replication.factor | short | 3 | >= 1 | no effect on a single broker
offsets.topic.segment.bytes | int | 104857600 | >= 1 | size from which __consumer_offsets begins a segment
""".format(policies="UPGRADE, BIDIRECTIONAL, DOWNGRADE, DISABLED")

_TRANSACTIONS: Final = """
producer.id.expiration.ms | int | 86400000 | >= 1 | how long an idle producer is remembered
transaction.abort.timed.out.transaction.cleanup.interval.ms | int | 10000 | >= 1 | no effect: looked for at every tick
transaction.max.timeout.ms | int | 900000 | >= 1 | longest timeout that a producer may ask for
transaction.partition.verification.enable | boolean | true | | no effect: partitions always must be in a transaction
transaction.state.log.min.isr | int | 2 | >= 1 | no effect on a single broker
transaction.state.log.num.partitions | int | 50 | >= 1 | partitions of __transaction_state
transaction.state.log.replication.factor | short | 3 | >= 1 | no effect on a single broker
transaction.state.log.segment.bytes | int | 104857600 | >= 1 | size from which __transaction_state begins a segment
transaction.two.phase.commit.enable | boolean | false | | must be false: there is no two-phase commit
transactional.id.expiration.ms | int | 604800000 | >= 1 | how long an idle transactional id is remembered
"""

_NETWORK: Final = """
advertised.listeners | list | - | | addresses told to clients, if others than those listened on
background.threads | int | 10 | >= 1 | no effect: there are no such threads
connection.failed.authentication.delay.ms | int | 100 | >= 0 | no effect: an unsuccessful login is answered at once
connections.max.idle.ms | long | 600000 | | connections that were idle for so long are closed
connections.max.reauth.ms | long | 0 | | how long an authentication holds; 0 is for ever
fetch.max.bytes | int | 57671680 | >= 1024 | no effect: a fetch is answered with what it asks for
listener.security.protocol.map | string | {protocols} | | which listeners have TLS, SASL, both or neither
listeners | list | PLAINTEXT://:9092 | | addresses that are listened on
max.connection.creation.rate | int | 2147483647 | >= 0 | no effect: connections are taken as they come
max.connections | int | 2147483647 | >= 0 | connections at a time, at most
max.connections.per.ip | int | 2147483647 | >= 0 | connections at a time from one address, at most
max.connections.per.ip.overrides | string | | | no effect: max.connections.per.ip is for every address
max.incremental.fetch.session.cache.slots | int | 1000 | | no effect: there are 1000
num.io.threads | int | 8 | >= 1 | no effect: requests share one event loop
num.network.threads | int | 3 | >= 1 | no effect: requests share one event loop
num.recovery.threads.per.data.dir | int | 2 | >= 1 | no effect: logs are recovered one by one
num.replica.fetchers | int | 1 | >= 1 | no effect on a single broker
queued.max.requests | int | 500 | >= 1 | no effect: a connection has one request at a time
request.timeout.ms | int | 30000 | | no effect: there is no other broker to wait for
socket.listen.backlog.size | int | 50 | >= 1 | no effect: the server has its own
socket.receive.buffer.bytes | int | 102400 | | no effect: buffers are the system's
socket.request.max.bytes | int | 104857600 | >= 1 | size of a request, at most
socket.send.buffer.bytes | int | 102400 | | no effect: buffers are the system's
""".format(protocols="SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT")

_SECURITY: Final = """
authorizer.class.name | string | | | what decides who may do what; empty lets everybody do everything
sasl.enabled.mechanisms | list | GSSAPI | | SASL mechanisms that are taken
sasl.jaas.config | password | - | | users of the mechanism PLAIN
sasl.mechanism.inter.broker.protocol | string | GSSAPI | | no effect on a single broker
sasl.server.max.receive.size | int | 524288 | | no effect: a SASL message may be as long as a request
security.inter.broker.protocol | string | PLAINTEXT | | no effect on a single broker
ssl.cipher.suites | list | | | no effect: cipher suites are the system's
ssl.client.auth | string | none | one of required, requested, none | whether clients must show a certificate
ssl.enabled.protocols | list | TLSv1.2,TLSv1.3 | | versions of TLS
ssl.key.password | password | - | | password of the private key
ssl.keystore.certificate.chain | password | - | | certificates in PEM
ssl.keystore.key | password | - | | private key in PEM
ssl.keystore.location | string | - | | file with private key and certificates
ssl.keystore.password | password | - | | password of that file
ssl.keystore.type | string | JKS | | form of that file
ssl.principal.mapping.rules | string | DEFAULT | | how a certificate's name becomes a principal
ssl.protocol | string | TLSv1.3 | | no effect: what both sides can do best
ssl.truststore.certificates | password | - | | certificates, in PEM, of whom clients are believed
ssl.truststore.location | string | - | | file with those certificates
ssl.truststore.password | password | - | | password of that file
ssl.truststore.type | string | JKS | | form of that file
"""

_QUOTAS: Final = """
controller.quota.window.num | int | 11 | >= 1 | no effect: quotas are kept, not enforced
controller.quota.window.size.seconds | int | 1 | >= 1 | no effect: quotas are kept, not enforced
quota.window.num | int | 11 | >= 1 | no effect: quotas are kept, not enforced
quota.window.size.seconds | int | 1 | >= 1 | no effect: quotas are kept, not enforced
"""

_OURS: Final = """
flush.on.commit | boolean | false | | whether a commit is answered only when it is on disk; not in Kafka
max.replication.factor | int | 1 | >= 1 | replicas that may be asked for; a topic has one all the same. Not in Kafka
"""

# Without a default, so that another of the broker's settings can count (`log.retention.hours`).
_UNSET: Final = ("log.flush.interval.ms", "log.retention.ms", "log.roll.jitter.ms", "log.roll.ms")


def _topic_defaults() -> dict[str, Definition]:
    found = {}
    for topic_name, (name, *_) in BROKER_NAMES.items():
        config = TOPIC_CONFIGS[topic_name]
        default = None if name in _UNSET else config.default
        text = f"{topic_name} of topics that say nothing: {config.documentation}"
        found[name] = Definition(name, config.type, default, config.check, text)
    return found


_TABLES: Final = (_IDENTITY, _TOPICS, _LOG, _GROUPS, _TRANSACTIONS, _NETWORK, _SECURITY, _QUOTAS, _OURS)
BROKER_CONFIGS: Final = _topic_defaults() | read_table("".join(table.removeprefix("\n") for table in _TABLES))

_NAMES_WITHOUT_EFFECT: Final = """
add.partitions.to.txn.retry.backoff.max.ms add.partitions.to.txn.retry.backoff.ms
alter.config.policy.class.name alter.log.dirs.replication.quota.window.num
alter.log.dirs.replication.quota.window.size.seconds auto.leader.rebalance.enable broker.heartbeat.interval.ms
broker.session.timeout.ms client.quota.callback.class config.providers controlled.shutdown.enable
controller.quorum.append.linger.ms controller.quorum.auto.join.enable controller.quorum.election.backoff.max.ms
controller.quorum.election.timeout.ms controller.quorum.fetch.max.bytes
controller.quorum.fetch.snapshot.max.bytes controller.quorum.fetch.timeout.ms controller.quorum.request.timeout.ms
controller.quorum.retry.backoff.ms controller.socket.timeout.ms cordoned.log.dirs create.topic.policy.class.name
delegation.token.expiry.check.interval.ms delegation.token.expiry.time.ms delegation.token.max.lifetime.ms
delegation.token.secret.key delete.records.purgatory.purge.interval.requests early.start.listeners
fetch.purgatory.purge.interval.requests follower.fetch.last.tiered.offset.enable group.coordinator.append.linger.ms
group.coordinator.background.threads group.coordinator.cached.buffer.max.bytes group.coordinator.threads
group.share.assignors group.share.max.share.sessions group.share.max.size group.streams.max.size
initial.broker.registration.timeout.ms kafka.metrics.polling.interval.secs kafka.metrics.reporters
leader.imbalance.check.interval.seconds log.dir.failure.timeout.ms metadata.log.dir
metadata.log.max.record.bytes.between.snapshots metadata.log.max.snapshot.interval.ms metadata.log.segment.bytes
metadata.log.segment.ms metadata.max.idle.interval.ms metadata.max.retention.bytes metadata.max.retention.ms
metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms
num.replica.alter.log.dirs.threads offsets.commit.timeout.ms offsets.load.buffer.size
offsets.topic.compression.codec principal.builder.class producer.purgatory.purge.interval.requests
queued.max.request.bytes replication.quota.window.num replication.quota.window.size.seconds
sasl.client.callback.handler.class sasl.mechanism.controller.protocol sasl.server.callback.handler.class
security.providers share.fetch.purgatory.purge.interval.requests socket.connection.setup.timeout.max.ms
socket.connection.setup.timeout.ms ssl.allow.dn.changes ssl.allow.san.changes ssl.endpoint.identification.algorithm
ssl.engine.factory.class ssl.keymanager.algorithm ssl.provider ssl.secure.random.implementation
ssl.trustmanager.algorithm telemetry.max.bytes transaction.remove.expired.transaction.cleanup.interval.ms
transaction.state.log.load.buffer.size
"""

# Kafka has these too. They say how to do what a single process does not do: a `server.properties` with them is taken.
WITHOUT_EFFECT: Final = frozenset(_NAMES_WITHOUT_EFFECT.split())
WITHOUT_EFFECT_PREFIXES: Final = (
    *("remote.", "replica.", "sasl.kerberos.", "sasl.login.", "sasl.oauthbearer.", "share.coordinator."),
)
