"""Pages: every cause, rule and source that is reckoned with."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from hepacalc.errors import NotThere
from hepacalc.knowledge.model import Block, Cause, CauseBlock
from hepacalc.server.access import need
from hepacalc.server.accounts import Identity
from hepacalc.server.stored import knowledge_of
from hepacalc.server.web import render

__all__ = ["router"]

router = APIRouter(prefix="/knowledge", include_in_schema=False)
Reader = Annotated[Identity, Depends(need("read"))]
LEAST_SHARE = 0.03
"""Shares under this are not listed."""


class BlockView(NamedTuple):
    """What is said of one block given a cause: the likely states, and where the figures come from."""

    name: Any
    states: list[tuple[Any, float]]
    counts: list[str]
    note: str
    status: str
    sources: tuple[str, ...]


@router.get("")
def overview(request: Request, _who: Reader) -> Response:
    """All causes and rules."""
    base = knowledge_of(request)
    causes = sorted(base.causes.values(), key=lambda c: (c.network, c.group, c.name["en"]))
    return render(request, "knowledge.html.j2", base=base, causes=causes, rules=list(base.rules.values()))


@router.get("/causes/{cause_id}")
def cause_page(request: Request, _who: Reader, cause_id: str) -> Response:
    """One cause: what it is, its figures with counts, its traps, its sources."""
    base = knowledge_of(request)
    cause = base.causes.get(cause_id)
    if cause is None:
        raise NotThere("there is no such cause.", hint="Look at the list.")
    priors = [
        (setting.name, setting.prior[cause_id])
        for setting in base.settings.values()
        if setting.network == cause.network and cause_id in setting.prior
    ]
    blocks = [_block(base.blocks[key], found) for key, found in cause.findings.items()]
    return render(
        request, "cause.html.j2", base=base, cause=cause, priors=priors, blocks=blocks,
        sources=[base.sources[s] for s in _sources(cause) if s in base.sources],
    )  # fmt: skip


@router.get("/sources/{source_id}")
def source_page(request: Request, _who: Reader, source_id: str) -> Response:
    """One source: what it says, and what rests on it."""
    base = knowledge_of(request)
    source = base.sources.get(source_id)
    if source is None:
        raise NotThere("there is no such source.", hint="Look at the list.")
    users = [cause for cause in base.causes.values() if source_id in _sources(cause)]
    rules = [rule for rule in base.rules.values() if source_id in rule.sources]
    return render(request, "source.html.j2", source=source, users=users, rules=rules)


def _block(block: Block, found: CauseBlock) -> BlockView:
    names = _state_names(block)
    shares = sorted(zip(names, found.p.tolist(), strict=True), key=lambda pair: -pair[1])
    counts = [f"{' + '.join(c.states)}: {c.n} / {c.N} [{c.source}]" for c in found.counts]
    return BlockView(
        block.name, [pair for pair in shares if pair[1] >= LEAST_SHARE][:8], counts, found.note, found.status,
        found.sources,
    )  # fmt: skip


def _state_names(block: Block) -> list[Any]:
    """Return the names of a block's states in order; of two axes both, one after the other."""
    if not block.axis_names:
        return [block.state_names[state] for state in block.states]
    out = []
    for state in block.states:
        parts = state.split("/")
        words = [names[part] for names, part in zip(block.axis_names.values(), parts, strict=True)]
        out.append({lang: ", ".join(word.get(lang) or word["en"] for word in words) for lang in ("en", "zh")})
    return out


def _sources(cause: Cause) -> list[str]:
    found = [s for block in cause.findings.values() for s in (*block.sources, *(c.source for c in block.counts))]
    found += [s for told in (*cause.traps, *cause.management) for s in told.sources]
    return list(dict.fromkeys(found))
