"""A Kafka broker in a process."""
