"""Traces by OpenTelemetry: off, and its SDK not imported, unless the site sets the standard variables.

With ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) set, and the extra ``telemetry``
installed, each request and each stage of a job becomes a span and is sent there by OTLP over HTTP. Attributes are
routes, kinds, stages, codes and our own random ids; an error's words are never among them.

A job belongs to the trace of the request, or of the job, that queued it: its row keeps the ``traceparent`` (W3C Trace
Context). One that a visitor's own headers name is not taken.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

__all__ = ["ENDPOINTS", "Span", "StageSpans", "begin", "current_trace", "end_traces", "is_wanted", "start_traces"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LOG = logging.getLogger("hepacalc.server.telemetry")
_held: dict[str, Any] = {}
_TRACE: ContextVar[str | None] = ContextVar("trace", default=None)


def is_wanted() -> bool:
    """Whether the site says where traces are to be sent."""
    return any(os.environ.get(name) for name in ENDPOINTS)


def start_traces(role: str, exporter: Any = None) -> bool:
    """Begin to trace in this process; return whether it does.

    Args:
        role: of the process: ``web``, ``node``, ``worker``.
        exporter: where spans go, in place of the site's collector.
    """
    if exporter is None and not is_wanted():
        return False
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            processor: Any = BatchSpanProcessor(OTLPSpanExporter())
        else:
            processor = SimpleSpanProcessor(exporter)
    except ModuleNotFoundError:
        _LOG.warning('traces are wanted, but the extra is missing: pip install "hepacalc[telemetry]"')
        return False
    service = os.environ.get("OTEL_SERVICE_NAME", "hepacalc")
    provider = TracerProvider(resource=Resource.create({"service.name": service, "hepacalc.role": role}))
    provider.add_span_processor(processor)
    _held.update(provider=provider, tracer=provider.get_tracer("hepacalc.server"))
    return True


def current_trace() -> str | None:
    """Return the ``traceparent`` of what is being done here; None where traces are off."""
    return _TRACE.get()


def end_traces() -> None:
    """Send what is left, and trace no more."""
    provider = _held.pop("provider", None)
    _held.clear()
    if provider is not None:
        provider.shutdown()


class Span:
    """A span, or nothing where traces are off; ends with its block."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(failed=kind is not None)

    def tell(self, name: str = "", **attributes: str | int | float) -> None:
        """Set the name, if one is given, and attributes; ``__`` in their names stands for a dot."""
        if self._span is not None:
            if name:
                self._span.update_name(name)
            self._span.set_attributes({key.replace("__", "."): value for key, value in attributes.items()})

    def end(self, *, failed: bool = False) -> None:
        """End it; a failure is marked, without its words."""
        if self._span is None:
            return
        if failed:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        self._span = None

    def begin(self, name: str) -> Span:
        """Begin a span within this one."""
        return begin(name, within=self._span)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let what is queued in this block belong to this span."""
        token = _TRACE.set(self._traceparent())
        try:
            yield
        finally:
            _TRACE.reset(token)

    def _traceparent(self) -> str | None:
        if self._span is None:
            return None
        told = self._span.get_span_context()
        return f"00-{told.trace_id:032x}-{told.span_id:016x}-{int(told.trace_flags):02x}"


def begin(name: str, *, serves: bool = False, within: Any = None, trace: str | None = None) -> Span:
    """Begin a span.

    Args:
        name: of what is done; never from a study.
        serves: whether it answers somebody's request.
        within: the span that it is a part of.
        trace: the ``traceparent`` that it follows from, of another process.
    """
    tracer = _held.get("tracer")
    if tracer is None:
        return Span(None)
    from opentelemetry.trace import SpanKind, set_span_in_context

    if within is None and trace is not None:
        within = _remote(trace)
    context = None if within is None else set_span_in_context(within)
    return Span(tracer.start_span(name, context=context, kind=SpanKind.SERVER if serves else SpanKind.INTERNAL))


def _remote(trace: str) -> Any:
    """Return the span of another process that a ``traceparent`` of ours names."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    _, trace_id, span_id, flags = trace.split("-")
    told = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return NonRecordingSpan(told)


class StageSpans:
    """Spans of the stages of a job: one ends where the next begins."""

    def __init__(self, job: Span) -> None:
        self._job, self._stage, self._name = job, Span(None), ""

    def at(self, name: str) -> None:
        """Note the stage that a job is in."""
        if name != self._name:
            self._stage.end()
            self._name = name
            self._stage = self._job.begin(name) if name else Span(None)

    def end(self) -> None:
        """End the last one."""
        self._stage.end()
