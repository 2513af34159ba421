"""What the registry tells, as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepacalc.followup.schedule import Interval

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return records, tuples and texts in several languages as objects and lists.

    Named tuples too. Pairs are told by their look, where each value is a text and no name stands twice.
    """
    if isinstance(value, Interval):
        return str(value)
    if hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        # pairs of language and text
        if value and all(isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str) for one in value):
            names = [one[0] for one in value]
            if len(set(names)) == len(names) and all(isinstance(one[1], str) for one in value):
                return dict(value)
        return [plain(one) for one in value]
    return value
