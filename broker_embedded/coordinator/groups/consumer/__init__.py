"""Groups whose partitions the broker assigns (KIP-848): members only send heartbeats.

Three epochs say how far a group has come. The group's epoch counts changes of subscriptions and of topics; the epoch of
the assignment is that of the group for which the target was computed; a member's epoch is that of the target it has
reached. A member gives up what it has too much before others get it: a partition never has two owners.

A group's state is plain data (`state`, `member`). A heartbeat (`heartbeat`) changes a copy, with the help of
`subscriptions`, `assignors` and `reconcile`; what differs is written down as records (`changes`, `records`), and then
the copy takes the place of the original, which `group` holds together with the deadlines.
"""
