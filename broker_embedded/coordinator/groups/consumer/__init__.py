"""Groups whose partitions the broker assigns (KIP-848): members only send heartbeats.

Three epochs say how far a group has come. The group's epoch counts changes of subscriptions and topics; the assignment's
epoch is the group's epoch for which the target was computed; a member's epoch is that of the target it has reached. A
member gives up what it has too much before others get it: at no time has a partition two owners.

A group's state is plain data (`state`), made anew by each heartbeat that changes something (`heartbeat`, with `regexes`,
`subscriptions`, `target`, `reconcile`); what differs from the state before is written down as records (`records`,
`changes`). `group` holds the current state and the deadlines.
"""
