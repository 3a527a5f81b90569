"""What can go wrong, by what to do about it.

LocalPostgresError      a person has to change something; the message says what
├── PortInUseError      the wanted port belongs to another program
└── NotRunningError     the command needs a running server
"""

from __future__ import annotations


class LocalPostgresError(Exception):
    """Something that a person has to change; the message says what."""


class PortInUseError(LocalPostgresError):
    """The wanted port belongs to another program."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is in use by another program: name another, or none.")


class NotRunningError(LocalPostgresError):
    """The command needs a running server."""
