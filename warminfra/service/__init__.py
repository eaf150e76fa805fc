"""The service: HTTP API on two Unix sockets, background loops, composition."""
