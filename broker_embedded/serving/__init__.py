"""From a socket to the cluster and back: a server per listener, its connections, and how each request is answered."""
