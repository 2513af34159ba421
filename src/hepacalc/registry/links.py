"""What a comparison says of lesions, checked against the lesions that are known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, select

from hepacalc.errors import NotInRegistry, OtherStudy, UsageError
from hepacalc.registry import tables as t
from hepacalc.registry.intake import LesionLink
from hepacalc.study.slices import shown_uid

__all__ = ["link_rows"]


def link_rows(
    connection: Connection, patient: int, links: Sequence[LesionLink], *, fresh: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return links as the body of an event holds them.

    A later lesion that is an earlier one is traced back to the earliest that it was found to be; what was traced before
    stays.

    Args:
        connection: to read what is known.
        patient: whose.
        links: what the comparison says.
        fresh: lesions that the same event makes.

    Raises:
        UsageError: a link without lesion or status.
        NotInRegistry: a lesion that is not known.
        OtherStudy: a lesion of another patient.
    """
    named = {uid for one in links for uid in (one.prior, one.current) if uid is not None}
    query = select(t.lesion.c.uid, t.lesion.c.patient, t.lesion.c.same_as).where(t.lesion.c.uid.in_(named))
    held = {row.uid: row for row in connection.execute(query)} if named else {}
    for uid in sorted(named - set(fresh)):
        if uid not in held:
            raise NotInRegistry(
                f"lesion {shown_uid(uid)} of the comparison is not in the registry.",
                hint="Add the assessment of the earlier exam first.",
            )
        if held[uid].patient != patient:
            raise OtherStudy(
                f"lesion {shown_uid(uid)} of the comparison is held as another patient's.",
                hint="Compare exams of one patient; nothing was changed.",
            )
    roots = {uid: row.same_as or uid for uid, row in held.items()}
    traced = {uid for uid, row in held.items() if row.same_as is not None}
    rows = []
    for one in links:
        if not one.status or len(one.status) > 16 or (one.prior is None and one.current is None):
            raise UsageError("a link of lesions needs a status and a lesion.", hint="Make the comparison again.")
        root = None
        if one.is_same and one.current not in traced and roots.get(one.prior or "", one.prior) != one.current:
            root = roots.get(one.prior or "", one.prior)
            roots[one.current or ""] = root or ""
            traced.add(one.current or "")
        rows.append({"prior": one.prior, "current": one.current, "status": one.status, "same_as": root})
    return rows
