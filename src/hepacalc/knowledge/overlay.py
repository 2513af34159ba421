"""A site's own file, laid over the knowledge base: its priors, thresholds and chosen guidelines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hepacalc.errors import InvalidOverlay, KnowledgeError
from hepacalc.knowledge import model
from hepacalc.knowledge.build import prior_arrays
from hepacalc.knowledge.files import read_text
from hepacalc.knowledge.schema import THRESHOLD_RANGE, OverlayIn, SiteShareIn, threshold_is_possible
from hepacalc.knowledge.schema_base import Problem, parse, raise_problems
from hepacalc.knowledge.yaml_in import read_yaml

__all__ = ["lay_over", "read_overlay"]


def read_overlay(path: Path) -> str:
    """Return the text of a site's file.

    Raises:
        InvalidOverlay: it cannot be read.
    """
    try:
        return read_text(path)
    except KnowledgeError as fault:
        raise InvalidOverlay(fault.message, hint=fault.hint) from fault


def _parsed(text: str, file: str) -> OverlayIn:
    try:
        found, problems = parse(OverlayIn, read_yaml(text, file), file)
    except KnowledgeError as fault:
        raise InvalidOverlay(fault.message, hint=fault.hint) from fault
    raise_problems(problems, InvalidOverlay)
    assert found is not None  # no problem, so there is something
    return found


def lay_over(knowledge: model.Knowledge, text: str, file: str) -> model.Knowledge:
    """Return ``knowledge`` with a site's numbers in place of ours.

    Shares that a site gives are taken as they are; the other causes of the setting keep their proportions and share
    what is left. Each number gets a source of its own with the status ``site``.

    Args:
        knowledge: ours.
        text: YAML as :class:`OverlayIn` describes it.
        file: its name for messages.

    Raises:
        InvalidOverlay: a field that is wrong; a setting, cause, threshold or guideline that is not there; shares that
            leave nothing. The message names file and field.
    """
    overlay = _parsed(text, file)
    problems: list[Problem] = []
    sources = dict(knowledge.sources)
    settings = dict(knowledge.settings)
    networks = dict(knowledge.networks)
    for key, shares in overlay.priors.items():
        if key not in settings:
            problems.append(Problem(file, f"priors.{key}", f"no such setting; there is {', '.join(settings)}"))
            continue
        unknown = sorted(set(shares) - set(settings[key].prior))
        if unknown:
            problems.append(Problem(file, f"priors.{key}", f"no such cause in it: {', '.join(unknown)}"))
            continue
        changed = _setting(settings[key], shares)
        if changed is None:
            problems.append(Problem(file, f"priors.{key}", "the shares leave nothing for the other causes"))
            continue
        settings[key] = changed
        table = networks[changed.network]
        prior = {**table.prior, key: prior_arrays(changed, table.cause_ids)}
        networks[changed.network] = replace(table, prior=prior)
        for cause, given in shares.items():
            source = _source(overlay.site, f"prior-{key}-{cause}", given.source, f"share in {key}", given.share, cause)
            sources[source.id] = source
    thresholds = dict(knowledge.thresholds)
    for key, item in overlay.thresholds.items():
        if key not in thresholds:
            problems.append(Problem(file, f"thresholds.{key}", f"no such threshold; there is {', '.join(thresholds)}"))
            continue
        if not threshold_is_possible(item.value, thresholds[key].unit):
            text = f"{item.value:g} is no {thresholds[key].unit}: {THRESHOLD_RANGE}"
            problems.append(Problem(file, f"thresholds.{key}", text))
            continue
        source = _source(overlay.site, f"threshold-{key}", item.source, thresholds[key].name["en"], item.value, "")
        sources[source.id] = source
        thresholds[key] = replace(thresholds[key], value=item.value, source=source.id, status="site")
    guidelines = dict(knowledge.guidelines)
    for key, choice in overlay.guidelines.items():
        if key not in guidelines or choice.chosen not in guidelines[key].choices:
            there = {name: list(item.choices) for name, item in guidelines.items()}
            problems.append(Problem(file, f"guidelines.{key}", f"no such guideline or choice; there is {there}"))
            continue
        source = _source(overlay.site, f"guideline-{key}", choice.source, f"applies {choice.chosen}", None, "")
        sources[source.id] = source
        guidelines[key] = replace(guidelines[key], chosen=choice.chosen, chosen_because=source.id)
    raise_problems(problems, InvalidOverlay)
    return replace(
        knowledge, networks=networks, settings=settings, thresholds=thresholds, guidelines=guidelines, sources=sources,
        site=overlay.site,
    )  # fmt: skip


def _setting(setting: model.Setting, shares: dict[str, SiteShareIn]) -> model.Setting | None:
    left = 1 - sum(given.share for given in shares.values())
    others = sum(share.share for cause, share in setting.prior.items() if cause not in shares)
    if others and left <= 0:
        return None
    scale = left / others if others else 0.0
    prior = {cause: share._replace(share=share.share * scale) for cause, share in setting.prior.items()}
    for cause, given in shares.items():
        prior[cause] = model.PriorShare(given.share, float(given.ess), f"SITE-prior-{setting.id}-{cause}")
    return replace(setting, prior=prior)


def _source(site: str, key: str, citation: str, says: str, value: float | None, about: str) -> model.Source:
    return model.Source(
        id=f"SITE-{key}", citation=f"{site}: {citation}", year=None, address="", status="site", confidence=1.0,
        kind="site", about=about, says=says, value=value, n=None, N=None, population=site, work="site",
    )  # fmt: skip
