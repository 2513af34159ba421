"""Prometheus metrics of one process, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import Engine, func, select

from hepacalc.server.database import now, reading
from hepacalc.server.files import Store
from hepacalc.server.settings import Settings
from hepacalc.server.tables import jobs, studies

__all__ = ["Metrics"]


class Metrics:
    """Counters of requests; states of jobs and studies are read from the database when asked."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings = engine, settings
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("hepacalc_http_requests", "Requests answered.", labels, registry=self._registry)
        self.seconds = Histogram(
            "hepacalc_http_seconds", "Time to answer a request.", ("route",), registry=self._registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10),
        )  # fmt: skip
        self.refused = Counter("hepacalc_refused", "Requests refused, by code.", ("code",), registry=self._registry)
        self.received = Counter("hepacalc_received_bytes", "Bytes received.", ("source",), registry=self._registry)
        self._jobs = Gauge("hepacalc_jobs", "Jobs by kind and state.", ("kind", "state"), registry=self._registry)
        self._studies = Gauge("hepacalc_studies", "Studies by state.", ("state",), registry=self._registry)
        self._oldest = Gauge("hepacalc_oldest_due_job_seconds", "Age of the oldest job due.", registry=self._registry)
        self._free = Gauge("hepacalc_free_bytes", "Free on the disk of the data folder.", registry=self._registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with reading(self._engine) as connection:
            by_job = connection.execute(
                select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state)
            ).all()
            by_study = connection.execute(select(studies.c.state, func.count()).group_by(studies.c.state)).all()
            oldest = connection.execute(
                select(func.min(jobs.c.created)).where(jobs.c.state == "queued", jobs.c.not_before <= now())
            ).scalar()
        self._jobs.clear()
        self._studies.clear()
        for kind, state, count in by_job:
            self._jobs.labels(kind, state).set(count)
        for state, count in by_study:
            self._studies.labels(state).set(count)
        self._oldest.set(now() - oldest if oldest else 0)
        self._free.set(Store(self._settings.data).free_bytes())
        return generate_latest(self._registry)
