"""The English phrases of the reasoning: causes, red flags, plan. Part of :data:`hepacalc.report.phrases.PHRASES`."""

from __future__ import annotations

__all__ = ["HARMS", "REASON_PHRASES", "SHORT_STATUSES", "STATUSES", "STRENGTHS", "URGENCIES"]

HARMS: dict[str, str] = {
    "benign": "benign",
    "watch": "to be watched",
    "dangerous": "dangerous",
    "malignant": "malignant",
}

URGENCIES: dict[str, str] = {
    "emergency": "Emergency",
    "urgent": "Urgent",
    "soon": "Soon",
    "routine": "Routine",
    "none": "Not needed",
}

STATUSES: dict[str, str] = {
    "read": "published; read there",
    "unchecked": "from memory or by reading words as numbers; not checked",
    "recalled": "from memory; not checked",
    "ours": "our own rule; not published, untested",
    "judgement": "our working estimate; not published",
    "site": "set by this site",
}
"""What a status means to a reader. A working estimate is never shown as published."""

SHORT_STATUSES: dict[str, str] = {
    "read": "published",
    "unchecked": "not checked",
    "recalled": "not checked",
    "ours": "our rule, untested",
    "judgement": "our estimate",
    "site": "this site",
}
"""The same in a word or two, for page one; the list of sources says it in full."""

STRENGTHS: tuple[tuple[float, str], ...] = (
    (20.0, "overwhelming"),
    (15.0, "very strong"),
    (10.0, "strong"),
    (5.0, "moderate"),
    (1.0, "weak"),
    (0.0, "next to nothing"),
)
"""From so many decibans on, in words; after the grades of Jeffreys 1961, Theory of Probability, appendix B."""

REASON_PHRASES: dict[str, str] = {
    "status.none": "not stated",
    # red flags
    "flags.one": "1 red flag: it stands whatever ranks first",
    "flags.many": "{count} red flags: they stand whatever ranks first",
    "flag.because": "Raised by: {because}.",
    "because.more": "{first} (and {more} alike)",
    # causes
    "may-be.title": "What it may be",
    "may-be.none": "What a calcification would most likely be",
    "may-be.none.note": (
        "No calcified lesion is known here. Ranking and plan say what would hold for a calcification of this patient; "
        "they do not say that there is one."
    ),
    "may-be.several": "Bars: probability for one of the {count} lesions picked at random.",
    "may-be.band": "Bar: probability; bracket: 5-95 % band from the thinness of the evidence.",
    "cause": "Cause",
    "harm": "If missed",
    "needle.never": "never a needle",
    "probability": "Probability",
    "band": "{low} to {high}",
    "highest": "Highest in {lesion}:",
    "for": "For:",
    "against": "Against:",
    "nothing-for": "nothing known speaks for it",
    "nothing-against": "nothing known speaks against it",
    "decibans": "{number} dB",
    "decibans.note": (
        'dB (decibans): weight of evidence; 10 dB make the odds ten times as high. "Our estimate" and sources J-... '
        "are working figures of ours, not published; a source with ? was not checked."
    ),
    "together": "Any {harm} cause:",
    "together.in": "(highest in {lesion})",
    "setting": "Setting",
    "setting.line": "Starting point: {name} ({why}).",
    # plan
    "plan.title": "What to do next",
    "plan.title.none": "What would be next, if there were a calcification",
    "plan.urgency": "When",
    "plan.action": "What",
    "plan.basis": "Basis",
    "plan.how": "How:",
    "plan.because": "Because:",
    "plan.provided": "Only if these are answered as the rule wants:",
    "plan.not": "Must not be done:",
    "plan.also": "Done with it:",
    "plan.none": "The rules ask for nothing.",
    "due.from-to": "{first} to {last}",
    "due.by": "by {last}",
    "due.on": "on {first}",
    "stop": "Then stop.",
    "stop.none": "No end of the work-up yet: what is open above comes first.",
    "questions": "Questions that would change the plan",
    "questions.none": "No open question would change the plan.",
    "questions.first": "needed before one can stop",
    "questions.more": "and {count} more",
    "tests": "Tests most likely to change it",
    "tests.none": "By cost and benefit no further test is worth doing now.",
    "tests.no-lesion": "None is reckoned: no lesion is known.",
    "tests.chance": "changes the action in {chance}",
    "tests.more": "and {count} more that are worth it",
    "tests.forbidden": "Must not be done now",
    "tests.worst": "Reckoned for {lesion}, where harm is most likely.",
    "act.leave": "leave it alone",
    "act.watch": "watch it",
    "act.act": "work it up",
    "act.for": "act on {cause}",
    "act.now": "Without any test the best action would be: {action}.",
    # the lesion's own
    "own.title": "What this lesion may be",
    # back
    "evidence": "What is known, and who said it",
    "evidence.none": "Nothing is known about this patient.",
    "evidence.note": "Struck through: overruled by better evidence or by a person; kept and shown, not used.",
    "evidence.block": "About",
    "evidence.said": "What was said",
    "evidence.by": "By",
    "evidence.used": "Used",
    "used.yes": "yes",
    "used.no": "no, overruled",
    "by.measured": "this scan",
    "by.person": "a person",
    "by.laboratory": "laboratory",
    "by.report": "imaging report",
    "by.history": "history",
    "patient": "patient",
    "changes": "What would change the answer",
    "changes.none": "No single further finding would change the answer.",
    "changes.if": "If seen",
    "changes.chance": "Chance of it",
    "changes.first": "Then first",
    "changes.over": "Then over the action threshold",
    "changes.note": "For {lesion}, where harm is most likely.",
    "changes.known": "{finding} (in place of what was said)",
    "sources": "Sources of the reasoning",
    "sources.id": "Id",
    "sources.citation": "Citation",
    "sources.status": "Status",
    "sources.note": "Knowledge base {version}. Bands: {draws} draws of the figures, seed {seed}.",
    "warnings": "About what was typed in",
    # a page without a scan
    "explain.title": "Calcification in the liver, explained without a scan",
    "explain.product": "hepacalc explanation",
    "explain.disclaimer": (
        "Decision support without clinical review yet. hepacalc is not a medical device and this page is not a "
        "diagnosis. No image was read: everything rests on what was typed in."
    ),
    "explain.disclaimer.short": (
        "Decision support without clinical review yet; not a medical device, not a diagnosis. No image was read."
    ),
    "explain.none": "No lesion was described",
    "explain.one": "1 lesion as described",
    "explain.many": "{count} lesions as described",
    "explain.fetal": "Liver calcification of a fetus, as described",
    "explain.first": "{headline}: most likely {cause} ({probability}; {low} to {high})",
    "explain.files": "All digits stand in explanation.json (schema {schema}).",
    # a terminal
    "line.flags": "Red flags: {words}.",
    "line.flags.none": "Red flags: none raised.",
    "line.causes": "May be: {words}.",
    "line.causes.none": "If there were a calcification, it would be: {words}.",
    "line.plan": "Next: {words}.",
    "line.plan.if": "Next, if there were one: {words}.",
    "line.plan.none": "Next: the rules ask for nothing.",
    "line.cause": "{cause} {probability} ({low} to {high})",
    "line.item": "{urgency}, {when}: {modality}",
    "line.more": "and {count} more in the report",
    "line.warning": "Warning: {text}.",
}
