"""Tables on disk: the state of stream tasks, kept in step with their changelogs.

How a change travels: an operator puts it (`layers/window`, `layers/versioned`, `ttl` or plain), it waits in
`layers/pending`, a commit hands it to the changelog (`layers/logged`) and then, in slices with the checkpoint in the
last, to a backend (`commit`, `checkpoint`, `backends/`). `restore` goes the other way. `task_stores` holds a task's
stores together; `api` has the contracts, `keys` the byte layouts, `budget` the memory of the process, `testing` the
suite for backends of your own.

Invariants: a store is never ahead of a committed transaction; a checkpoint never lies in a store without its data; a
crash between any two writes is made good by reading the changelog again from the checkpoint.

Not here: changelog transport (a callable writes, whoever reads the log feeds the restorer), knowledge of topics or
partitions, threads, clocks (time is an argument), session stores.
"""
