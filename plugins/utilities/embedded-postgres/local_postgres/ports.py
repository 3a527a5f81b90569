"""Free TCP ports on the loopback address."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now."""
    with socket.socket() as listener:
        # As PostgreSQL does: connections in TIME_WAIT do not keep a port from being taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except PermissionError:
            return True  # Nobody has it, but we may not; the server's own words say so better.
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nobody listens on, chosen by the operating system."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
