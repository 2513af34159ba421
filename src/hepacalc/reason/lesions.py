"""Several lesions in one liver may have several causes.

The model: what is known of the patient (``shared``) turns the setting's prior into ``q(cause)``. One process d, drawn
from q, makes most lesions; each lesion is of another process, drawn from q again, with probability ``other``. So a
metastasis may lie beside a healed granuloma, and yet ten like lesions speak for one cause. Each lesion's prior is then
``(1 - other) * (what the other lesions say of d) + other * q``, and its own picture is counted in full.

Lesions of one process look alike: ten equal foci are not ten witnesses. Of n lesions, what lesion j says of d is taken,
for lesion i, to the power ``(1 - alike * s) / (1 + (n - 2) * alike)``, s being how alike the two speak: the correlation
over the causes of their log likelihoods, 0 where it is negative or one of them says nothing. So all others together
count as about one witness, and not even as that where they only repeat what the lesion itself says (a composite
likelihood with the design effect of clusters). With ``alike = 0`` the answer is the exact posterior of the model, with
one lesion it is the plain differential. ``other`` and ``alike`` are judgements.

The differential of the patient is that of a lesion picked at random: the mean over the lesions. It answers "what is
most of this?"; whether *any* lesion is harmful stands in ``highest``, which the harmless ones do not dilute.

References: Varin, Reid and Firth 2011, Stat Sinica 21:5 (composite likelihood); Kish 1965, Survey Sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepacalc.errors import UsageError
from hepacalc.reason.differential import block_log_likelihoods, ranked, setting_notes, setting_of
from hepacalc.reason.evidence import Evidence
from hepacalc.reason.network import Network, network_of
from hepacalc.reason.records import CauseProbability, LesionDifferentials
from hepacalc.reason.uncertainty import DRAWS, SEED, DrawBank, draw_bank

if TYPE_CHECKING:
    from hepacalc.knowledge.model import Knowledge

__all__ = ["ALIKE", "OTHER", "combine_lesions"]

OTHER = 0.1
"""Probability that a lesion is of another process than most of the liver's lesions. A judgement."""
ALIKE = 0.8
"""How alike lesions of one process look, 0-1. A judgement."""

Array = NDArray[np.floating[Any]]


def combine_lesions(
    shared: Evidence,
    lesions: Sequence[Evidence],
    knowledge: Knowledge | Network,
    *,
    setting: str | None = None,
    other: float = OTHER,
    alike: float = ALIKE,
    draws: int = DRAWS,
    seed: int = SEED,
) -> LesionDifferentials:
    """Return a differential for each lesion and one for the patient.

    Args:
        shared: what is known of the patient: history, laboratory, other organs, number of foci.
        lesions: for each lesion the blocks that are its own: picture, size, density, enhancement.
        knowledge: a loaded knowledge base, or one network of it.
        setting: whose prior applies; that of ``shared`` when left out.
        other: probability that a lesion is of another process, 0-1.
        alike: how alike lesions of one process look, 0-1.
        draws: parameter draws for the bands; 0 for none.
        seed: of the draws.

    Raises:
        UsageError: no lesion, a block in both the patient and a lesion, ``other`` or ``alike`` outside 0-1.
    """
    network = network_of(knowledge, shared.network)
    place = setting_of(network, shared, setting)
    _check(shared, lesions, other, alike)
    log_q = network.log_prior(place) + _summed(shared, network, place)
    pictures = [_summed(lesion, network, place) for lesion in lesions]
    powers = _powers(log_q, pictures, alike)
    point = _combine(log_q, pictures, other, powers)
    drawn: list[Array] | None = None
    if draws:
        bank = draw_bank(network, draws, seed)
        log_q_drawn = bank.log_prior(place) + _summed_drawn(bank, shared, place)
        drawn = _combine(log_q_drawn, [_summed_drawn(bank, lesion, place) for lesion in lesions], other, powers)
    found = []
    for k, p in enumerate(point):
        # the last one is the patient
        together = [shared, *(lesions if k == len(lesions) else [lesions[k]])]
        known = {block for evidence in together for block in block_log_likelihoods(evidence, network, place)}
        notes = [note for evidence in together for note in setting_notes(network, evidence, place)]
        found.append(
            ranked(
                network,
                place,
                np.asarray(p, np.float64),
                None if drawn is None else np.asarray(drawn[k], np.float32),
                seed,
                tuple(block for block in network.states if block in known),
                tuple(dict.fromkeys(notes)),
            )
        )
    return LesionDifferentials(tuple(found[:-1]), found[-1], _highest(network, found[:-1]))


def _combine(log_q: Array, pictures: Sequence[Array], other: float, powers: NDArray[np.float64]) -> list[Array]:
    """Return the posterior of each lesion and, last, of one picked at random.

    Args:
        log_q: ``log q``, shape ``(causes, ...)``, up to a constant.
        pictures: for each lesion ``log P(picture | cause)``, same shape.
        other: probability of another process.
        powers: how far lesion j is heard for lesion i, shape ``(lesions, lesions)``, 0 on the diagonal.
    """
    log_q = log_q - _log_sum(log_q)
    # log P(picture | process d): the lesion is of d, or of any cause by q
    spoken = np.stack([_log_mix(picture, _log_sum(log_q + picture), other) for picture in pictures])
    heard = np.tensordot(powers.astype(log_q.dtype), spoken, axes=1)
    out = []
    for picture, others in zip(pictures, heard, strict=True):
        context = log_q + others
        log_p = _log_mix(context - _log_sum(context), log_q, other) + picture
        out.append(np.exp(log_p - _log_sum(log_p)))
    out.append(np.mean(out, axis=0))
    return out


def _powers(log_q: Array, pictures: Sequence[Array], alike: float) -> NDArray[np.float64]:
    """Return how far lesion j is heard for lesion i, shape ``(lesions, lesions)``, 0 on the diagonal."""
    weight = np.exp(log_q - _log_sum(log_q))
    spread = np.stack(pictures)
    spread = (spread - (spread @ weight)[:, None]) * np.sqrt(weight)
    length = np.linalg.norm(spread, axis=1)
    spread /= np.where(length > 1e-9, length, np.inf)[:, None]
    like = np.clip(spread @ spread.T, 0.0, 1.0)
    powers: NDArray[np.float64] = (1 - alike * like) / (1 + max(len(pictures) - 2, 0) * alike)
    np.fill_diagonal(powers, 0.0)
    return powers


def _log_mix(main: Array, rest: Array, other: float) -> Array:
    """Return ``log((1 - other) * exp(main) + other * exp(rest))``, shape of ``main``."""
    if other == 0:
        return main
    if other == 1:
        return np.broadcast_to(rest, main.shape)
    first, second = main + main.dtype.type(np.log1p(-other)), rest + main.dtype.type(np.log(other))
    if main.dtype == np.float64:
        exact: Array = np.logaddexp(first, second)
        return exact
    # of draws: six times as fast, and as exact as single precision is
    mixed: Array = np.maximum(first, second)
    mixed += np.log(1 + np.exp(-np.abs(first - second)))
    return mixed


def _log_sum(log_p: Array) -> Array:
    """Return ``log sum exp`` over the causes, first axis kept."""
    top = log_p.max(axis=0, keepdims=True)
    out: Array = top + np.log(np.exp(log_p - top).sum(axis=0, keepdims=True))
    return out


def _summed(evidence: Evidence, network: Network, setting: str) -> Array:
    found = block_log_likelihoods(evidence, network, setting).values()
    total: Array = np.sum([np.zeros(len(network.cause_ids)), *found], axis=0)
    return total


def _summed_drawn(bank: DrawBank, evidence: Evidence, setting: str) -> Array:
    total = np.zeros((len(bank.network.cause_ids), bank.draws), np.float32)
    # in the network's order, so that the order of findings never matters
    for block in bank.network.states:
        if block in evidence.weights:
            more = bank.log_likelihood(block, setting, evidence.weights[block])
            if more is not None:
                total += more
    return total


def _highest(network: Network, found: Sequence[Any]) -> tuple[CauseProbability, ...]:
    """Return for every cause its highest probability and upper bound over the lesions, most probable first."""
    out = []
    for cause in network.cause_ids:
        entries = [lesion[cause] for lesion in found]
        top = max(entries, key=lambda entry: entry.probability)
        high = max(entry.high for entry in entries)
        out.append(CauseProbability(cause, top.name, top.probability, top.low, high, top.harm, top.needle))
    return tuple(sorted(out, key=lambda entry: -entry.probability))


def _check(shared: Evidence, lesions: Sequence[Evidence], other: float, alike: float) -> None:
    if not lesions:
        raise UsageError("Wanted one lesion or more, found none.", hint="Without lesions use differential().")
    if not (0 <= other <= 1 and 0 <= alike <= 1):
        raise UsageError(f"Wanted other and alike from 0 to 1, found {other:g} and {alike:g}.", hint="Leave them out.")
    for lesion in lesions:
        both = sorted(set(shared.weights) & set(lesion.weights))
        if both or lesion.network != shared.network:
            raise UsageError(
                f"Wanted blocks of the patient apart from a lesion's own, found {', '.join(both) or lesion.network}.",
                hint="What is true of the liver as a whole belongs to the patient.",
            )
