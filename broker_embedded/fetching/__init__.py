"""A fetch that waits (`request`), and what a client has named once (`sessions`)."""
