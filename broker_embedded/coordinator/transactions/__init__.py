"""Transactions: `registry` is the coordinator, `states` the table of moves, `log` what lasts."""
