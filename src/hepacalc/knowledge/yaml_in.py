"""A strict and quick reader of the part of YAML that the knowledge base uses.

PyYAML parses; this module builds plain dicts, lists, strings, numbers, true/false and null from its events. Beside
being quicker than PyYAML's own constructor it is stricter, where YAML 1.1 is a trap for data: ``10_30`` is a string
and not the number 1030, ``no`` and ``off`` are strings, a key that stands twice is an error, and there are no tags,
anchors or aliases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from hepacalc.errors import KnowledgeError

__all__ = ["read_yaml"]

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_NUMBER = re.compile(r"[-+]?[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_HINT = "Correct the file: mappings, lists, text, numbers, true, false and null; no tags, anchors or aliases."


def read_yaml(text: str, name: str) -> Any:
    """Return what one YAML document holds.

    Args:
        text: the document.
        name: the file's name for messages, e.g. ``causes/ce.yaml``.

    Raises:
        KnowledgeError: it is not YAML of the kind described above; the message names file and line.
    """
    try:
        return _document(yaml.parse(text, Loader=_PARSER), name)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise KnowledgeError(f"{name}{line}: not YAML: {fault.problem or fault.context}.", hint=_HINT) from None
    except yaml.reader.ReaderError as fault:
        raise KnowledgeError(f"{name}: not YAML: {fault.reason}.", hint=_HINT) from None


def _document(events: Iterator[Any], name: str) -> Any:
    found: Any = None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _fault(event, name, "a second document in one file")
            found = _value(next(events), events, name)
    return found


def _value(event: Any, events: Iterator[Any], name: str) -> Any:
    kind = type(event)
    if getattr(event, "anchor", None) is not None:
        raise _fault(event, name, "an anchor or alias")
    if getattr(event, "tag", None) is not None:
        raise _fault(event, name, f"the tag {event.tag}")
    if kind is yaml.ScalarEvent:
        return _plain(event.value) if event.implicit[0] and not event.style else event.value
    if kind is yaml.SequenceStartEvent:
        items = []
        while type(event := next(events)) is not yaml.SequenceEndEvent:
            items.append(_value(event, events, name))
        return items
    found: dict[str, Any] = {}
    while type(event := next(events)) is not yaml.MappingEndEvent:
        if type(event) is not yaml.ScalarEvent or event.tag is not None or event.anchor is not None:
            raise _fault(event, name, "a key that is not plain text")
        if event.value in found:
            raise _fault(event, name, f"the key {event.value} stands twice")
        found[event.value] = _value(next(events), events, name)
    return found


def _plain(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] in "-+.0123456789":
        if _INTEGER.match(text):
            return int(text)
        if _NUMBER.match(text):
            return float(text)
    return text


def _fault(event: Any, name: str, what: str) -> KnowledgeError:
    return KnowledgeError(f"{name}, line {event.start_mark.line + 1}: {what}.", hint=_HINT)
