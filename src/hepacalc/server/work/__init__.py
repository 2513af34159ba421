"""Kinds of job. Each is one class; a new one is added to :data:`KINDS` and nothing else has to know of it.

A kind has four parts, because three processes are involved::

    request(site, job)             in the worker: what the job's own process is told (JSON; paths, no database)
    run(request, out, tell)        in a process of its own, under limits: files into ``out``, numbers back (JSON)
    commit(site, job, made, found) in the worker: move files into place, then one transaction with ``jobs.finish``
    failed(connection, job, error) in the transaction that sets the job aside

``commit`` may be called again after a crash at any instant: moving what was moved is no error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine

from hepacalc.errors import HepacalcError, UsageError
from hepacalc.server.files import Store
from hepacalc.server.jobs import Job
from hepacalc.server.settings import Settings

__all__ = ["KINDS", "Kind", "Site", "Tell", "kind_of"]

Tell = Callable[[str, float], None]

KINDS: dict[str, tuple[str, str]] = {
    "intake": ("hepacalc.server.work.intake", "Intake"),
    "assess": ("hepacalc.server.work.assessing", "Assess"),
    "edit": ("hepacalc.server.work.editing", "Edit"),
    "facts": ("hepacalc.server.work.facts", "Facts"),
    "weigh": ("hepacalc.server.work.facts", "Weigh"),
    "form": ("hepacalc.server.work.answering", "Answer"),
    "compare": ("hepacalc.server.work.comparing", "Compare"),
    "register": ("hepacalc.server.work.registering", "Register"),
    "view": ("hepacalc.server.work.viewing", "View"),
    "send": ("hepacalc.server.work.sending", "Send"),
    "priors": ("hepacalc.server.work.priors", "Priors"),
    "fetch": ("hepacalc.server.work.priors", "Fetch"),
}
"""Kind -> module and class, loaded when first needed."""


@dataclass(frozen=True, slots=True)
class Site:
    """A deployment, open: its database, settings and folders."""

    engine: Engine
    settings: Settings
    store: Store


class Kind(Protocol):
    """One kind of job."""

    def request(self, site: Site, job: Job) -> dict[str, Any]:
        """Return what the process of the job is told."""
        ...

    def run(self, request: dict[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
        """Do the work: files into ``out``, the rest as JSON.

        Raises:
            HepacalcError: it cannot be done.
        """
        ...

    def commit(self, site: Site, job: Job, made: Path, found: dict[str, Any]) -> None:
        """Keep what was made, and finish the job.

        Raises:
            LostLease: another worker has the job.
        """
        ...

    def failed(self, connection: Connection, job: Job, error: HepacalcError) -> None:
        """Note that the job was set aside where a person will see it."""
        ...


def kind_of(name: str) -> Kind:
    """Return a kind of job.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in KINDS:
        raise UsageError(f"{name!r} is no kind of job.", hint="The job is of another version of hepacalc.")
    module, attribute = KINDS[name]
    return cast("Kind", getattr(import_module(module), attribute)())
