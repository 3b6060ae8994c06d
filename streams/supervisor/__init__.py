"""Several workers of an app on one machine: a process each, and one that looks after them.

The supervisor (`supervisor.py`) starts the same command N times, each knowing its number and a socket to it
(`link.py`); they tell it how they are (`messages.py`). It starts again who dies (`restarts.py`, `keeper.py`), adds up
what they count (`sums.py`), and says when all are at the end (`waves.py`). The built-in broker is one more process
(`broker_process.py`). Nothing here processes a record.
"""
