# 51 AlterUserScramCredentials: give users passwords, and take them away (KIP-554).
#
# - The client sends the salted password; what is kept of it is StoredKey and ServerKey. 4,096 to 16,384 iterations,
#   else UNACCEPTABLE_CREDENTIAL, as for an empty name.
# - A mechanism that is not SCRAM-SHA-256 (1) or SCRAM-SHA-512 (2) is UNSUPPORTED_SASL_MECHANISM.
# - Taking away what is not there is RESOURCE_NOT_FOUND. A user may be named once, whatever the mechanism, else
#   DUPLICATE_RESOURCE, and nothing of that user changes. Kafka: ScramControlManager.
#   What is wrong with the first mention comes before that.
from __future__ import annotations

from typing import TYPE_CHECKING

from broker_embedded.errors import (
    DuplicateResourceError,
    KafkaError,
    ResourceNotFoundError,
    UnacceptableCredentialError,
    UnsupportedSaslMechanismError,
)
from broker_embedded.handlers import RequestContext, handler
from broker_embedded.security.scram import ITERATIONS_MAX, ITERATIONS_MIN, MECHANISM_TYPES, Mechanism, credential
from broker_embedded.wire.messages.security import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)

if TYPE_CHECKING:
    from broker_embedded.cluster import Cluster

Change = ScramCredentialDeletion | ScramCredentialUpsertion


@handler(51, versions=(0, 0))
async def handle(
    cluster: Cluster, request: AlterUserScramCredentialsRequest, context: RequestContext
) -> AlterUserScramCredentialsResponse:
    changes: list[Change] = [*request.deletions, *request.upsertions]
    by_user: dict[str, list[Change]] = {}
    for change in changes:
        by_user.setdefault(change.name, []).append(change)
    return AlterUserScramCredentialsResponse([_alter(cluster, user, rows) for user, rows in by_user.items()])


def _alter(cluster: Cluster, user: str, changes: list[Change]) -> AlterUserScramCredentialsResult:
    change = changes[0]
    try:
        mechanism = _check(cluster, change)
        if len(changes) > 1:
            raise DuplicateResourceError("A user credential cannot be altered twice in the same request")
        if isinstance(change, ScramCredentialUpsertion):
            _put(cluster, change, mechanism)
        else:
            cluster.metadata.remove_scram(change.name, change.mechanism)
    except KafkaError as error:
        return AlterUserScramCredentialsResult(user, error.code, str(error))
    return AlterUserScramCredentialsResult(user)


def _check(cluster: Cluster, change: Change) -> Mechanism:
    if not change.name:
        raise UnacceptableCredentialError("Username must not be empty")
    mechanism = MECHANISM_TYPES.get(change.mechanism)
    if mechanism is None:
        raise UnsupportedSaslMechanismError("Unknown SCRAM mechanism")
    if isinstance(change, ScramCredentialUpsertion):
        if change.iterations < ITERATIONS_MIN:
            raise UnacceptableCredentialError("Too few iterations")
        if change.iterations > ITERATIONS_MAX:
            raise UnacceptableCredentialError("Too many iterations")
    elif (change.name, change.mechanism) not in cluster.metadata.scram_users:
        raise ResourceNotFoundError("Attempt to delete a user credential that does not exist")
    return mechanism


def _put(cluster: Cluster, change: ScramCredentialUpsertion, mechanism: Mechanism) -> None:
    kept = credential(mechanism, bytes(change.salted_password), bytes(change.salt), change.iterations)
    cluster.metadata.put_scram(
        change.name,
        mechanism.type,
        salt=kept.salt,
        stored_key=kept.stored_key,
        server_key=kept.server_key,
        iterations=kept.iterations,
    )
