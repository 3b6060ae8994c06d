"""Who is at the other end of a connection (TLS, SASL), and what they may do (ACLs). Off until it is configured."""
