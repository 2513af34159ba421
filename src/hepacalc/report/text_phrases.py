"""The English phrases of the text for a report system."""

from __future__ import annotations

__all__ = ["TEXT_PHRASES"]

TEXT_PHRASES: dict[str, str] = {
    "text.title": "CT OF THE LIVER: CALCIFICATION",
    "text.study": "STUDY",
    "text.study.line": "Date {date}. Phase: {phase}. Slices {thickness} mm, {kvp}.",
    "text.findings": "FINDINGS",
    "text.lesion": "{name}: {kind}, {certainty}; segment {segment}; {pattern}; {numbers}.",
    "text.extent": "largest extent {number}",
    "text.mass": "calcium mass {number}",
    "text.peak": "peak {number}",
    "text.more": "{count} more lesions are listed in the report.",
    "text.total": "Calcium in all: {mass}, {volume}.",
    "text.mimics": "Set apart, not counted: {words}.",
    "text.mimic": "{kind} {count}",
    "text.smallest": "Smallest solid focus that would be seen: {number}.",
    "text.limits": "LIMITS",
    "text.impression": "IMPRESSION",
    "text.flag": "{urgency}: {text}.",
    "text.causes": "May be: {words}.",
    "text.causes.none": "If there were a calcification, it would be: {words}.",
    "text.plan": "PLAN",
    "text.plan.none": "No plan: nothing was given about the patient. The doctor decides.",
    "text.item": "{urgency}, {when}: {modality}. {action}",
    "text.item.none": "{action}",
    "text.forbidden": "Must not be done: {words}.",
    "text.by": "hepacalc {version}, {made}.",
}
