"""What can be set for topics, brokers, groups and clients by Kafka's names: tables, checks, and what is in force.

`definitions` says what a config is; `topics`, `broker_table` and `groups` are the tables; `broker` has the layers of a
broker's settings; `resources` reads, checks and stores, `rows` describes; `client_quotas` are apart.
"""
