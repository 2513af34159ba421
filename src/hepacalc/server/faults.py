"""What the server alone refuses, as leaves of :mod:`hepacalc.errors`, which holds the others and each HTTP status."""

from __future__ import annotations

from hepacalc.errors import ServerError

__all__ = [
    "Conflict",
    "NotAllowed",
    "NotSignedIn",
    "TooMany",
    "UnfinishedJob",
]


class NotSignedIn(ServerError):
    """Nobody is signed in, or the session or token is over."""

    code = "SRV-01"


class NotAllowed(ServerError):
    """Who is signed in may not do this."""

    code = "SRV-02"


class TooMany(ServerError):
    """Too many tries in a short time."""

    code = "SRV-05"


class Conflict(ServerError):
    """It contradicts what was said before: another request with the same key, or a newer state."""

    code = "SRV-06"


class UnfinishedJob(ServerError):
    """The process that did a job died, ran too long or took too much memory."""

    code = "SRV-08"
