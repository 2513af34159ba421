"""What the server refuses, as leaves of the tree of :mod:`hepacalc.errors`; each has its own HTTP status there."""

from __future__ import annotations

from hepacalc.errors import HepacalcError

__all__ = [
    "Conflict",
    "InvalidRequest",
    "NotAllowed",
    "NotSignedIn",
    "NotThere",
    "PeerRefused",
    "ServerError",
    "TooLarge",
    "TooMany",
    "Unavailable",
    "UnfinishedJob",
]


class ServerError(HepacalcError):
    """A request that is not served."""

    code = "SRV-00"


class NotSignedIn(ServerError):
    """Nobody is signed in, or the session or token is over."""

    code = "SRV-01"


class NotAllowed(ServerError):
    """Who is signed in may not do this."""

    code = "SRV-02"


class NotThere(ServerError):
    """It does not exist, or not for this user: the answer is the same."""

    code = "SRV-03"


class TooLarge(ServerError):
    """More bytes, files or pixels than this site takes."""

    code = "SRV-04"


class TooMany(ServerError):
    """Too many tries in a short time."""

    code = "SRV-05"


class Conflict(ServerError):
    """It contradicts what was said before: another request with the same key, or a newer state."""

    code = "SRV-06"


class Unavailable(ServerError):
    """The database or the disk cannot be used just now; trying again later may help."""

    code = "SRV-07"


class UnfinishedJob(ServerError):
    """The process that did a job died, ran too long or took too much memory."""

    code = "SRV-08"


class InvalidRequest(ServerError):
    """A field of a request is wrong; the message names the field, never what it holds."""

    code = "SRV-09"


class PeerRefused(ServerError):
    """A PACS or archive does not take what it is sent, or does not give what it is asked for."""

    code = "SRV-10"
