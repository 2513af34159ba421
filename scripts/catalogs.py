"""The translations of the report: ``python scripts/catalogs.py`` brings them in step with the code.

Collects every message that a reader may meet, updates ``src/hepacalc/report/locale/LANGUAGE/LC_MESSAGES/hepacalc.po``
(kept: what is translated; new: empty; gone: taken out) and compiles it. Two kinds of message:

* phrases of the report by key (``words.text("key")``): the key is the context (``msgctxt``);
* sentences that the rooms build with numbers in them: the code is read, ``{n1}`` stands for a number and ``{x1}`` for
  words. The report finds them again by their pattern (``report/sentences.py``): ``assessment.json`` holds English.

Needs Babel (extra ``test``).
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import get_args

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from hepacalc.knowledge import load_knowledge

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "hepacalc"
LOCALE = SOURCE / "report" / "locale"
LANGUAGES = tuple(sorted(path.name for path in LOCALE.iterdir() if path.is_dir()))

READ = (
    "foci/*.py", "followup/*.py", "compare.py",
    "liver/*.py", "study/quality/*.py", "study/series.py", "study/choose.py", "study/dicom.py",
    "study/stack.py", "study/nifti.py", "study/nifti_study.py", "study/scan.py", "study/__init__.py",
    "study/calibration_file.py",
    "reason/ct_findings.py", "reason/differential.py", "reason/next_test.py", "patient/checks.py", "patient/imaging.py",
    "patient/laboratory.py", "patient/fetal.py", "patient/background.py", "patient/setting.py",
    "patient/statements.py", "patient/to_findings.py", "consult.py", "assess.py",
)  # fmt: skip
"""Modules whose sentences reach a reader of the report."""

NO_WORDS = (
    "foci/_shape_features.py", "foci/_pattern_model.py", "liver/place.py", "liver/likelihood.py", "liver/planes.py",
    "liver/population.py",
)  # fmt: skip
"""Modules without a word for a reader."""

ONLY = {"patient/checks.py": ("patient_warnings",)}
"""Modules of which only these functions speak to a reader of a report."""

NOT_SHOWN = frozenset(
    (
        "A series of {x1} does not fit into memory.",
        "A volume with three axes is wanted, but the NIfTI file has shape {x1}.",
        "Export or download it again.",
        "Is this g/mL per HU? Multiply by 1000: {n1} mg/mL per HU. Allowed is 0.2 to 2.0.",
        "The NIfTI file cannot be read.",
        "The NIfTI file does not say where its voxels lie (no valid sform or qform), so left, right and size cannot be "
        "trusted.",
        "The NIfTI file ends early or is damaged.",
        "The orientation of the NIfTI file cannot be read.",
        "The path cannot be opened.",
        "The path that was given cannot be opened.",
        "The unit is mg/mL per HU (the same as mg/cm3 per HU), 0.2 to 2.0; about 0.8 at 120 kV.",
        "Value error",
        "a depth below the capsule was wanted on the grid of the body {x1}, found {x2}.",
        "a focus was wanted to measure its shape, found a region {x1} of {x2} voxels in an array {x3}.",
        "a liver mask was wanted to look for foci in, but it is empty.",
        "at line {x1}",
        "edge of the scan",
        "not comparable",
        "the current exam",
        "the earlier exam",
        "drawing its contour",
        "field {x1}: {x2}",
        "found {x1}",
        "label {x1}",
        "line {x1}",
        "looking for the liver",
        "no files",
        "not installed",
        "nothing that looks like a liver",
        "only open blocks are sampled",
        "only {n1} mL that looks like one",
        "patient file",
        "reading headers",
        "reading slices",
        "the liver",
        "the smallest focus was asked for with {x1} = {x2}.",
        "there is no regular block to measure in its place",
        "wanted square pixels on an upright grid, found {n1} x {n2} mm.",
        "whole liver",
        "{x1} ({x2} slices)",
        "{x1} slices of {x2} x {x3} pixels",
        "{x1} total",
        "{x1} and {x2}",
        "{x1} total fast",
    )
)
"""Sentences in these modules that no reader of a report meets: errors, progress, names."""

WORDS = (
    "about", "limit", "treated", "enhanced", "sharp", "soft", "top", "bottom", "left", "right", "front", "back",
    "arterial", "portal venous", "delayed", "non-contrast", "undetermined", "noise", "haemorrhage", "Lipiodol",
    "gallstone", "metal", "vessel", "calcification", "indeterminate", "stone-like", "outside-liver", "scout",
    "yes", "no", "normal", "raised", "low", "positive", "negative", "not done", "abnormal", "stable", "grown", "shrunk",
    "denser under treatment", "single", "few", "many", "diffuse", "female", "male", "other", "age", "host",
    "morphology", "radiograph", "ct", "ct non contrast", "ct contrast", "ultrasound", "contrast ultrasound", "mri",
    "pet ct", "segmenter", "calibration", "agatston", "true", "false", "embedded", "file", "totalsegmentator",
    "mass", "volume",
    "significant", "advanced", "none", "avidity", "high", "long", "liver",
    "{x1} of {x2}", "{x1} positive", "{x1} negative", "{x1} positive {x2}", "{x1} negative {x2}", "{x1} indeterminate",
    "{x1} high", "{x1} low", "{x1} yes", "{x1} no", "host {x1}", "morphology {x1}", "age {x1}", "limit {n1}",
    "limit {n1}-{n2}", "default limit {n1}-{n2}",
    "default limit {n1}", "{x1} in: {x2}", "{x1} in what looks like liver", "{x1} beside fluid",
    "{x1} beside other soft tissue", "upper bound {n1} (limit {n2})", "probability {n1} (limit {n2})",
    "malignant causes together", "dangerous causes together", "causes to be watched together",
    "benign causes together", "causes that must not be punctured", "upper limit {n1}", "several possible",
    "liver tests", "inflammation", "voxel",
    "right hepatic vein", "middle hepatic vein", "left hepatic vein", "right portal branch", "left portal branch",
    "portal trunk", "gallbladder", "fissure", "middle",
    # ids of states that mean another thing in another block
    "rim", "surface", "portal hypertension", "brucella", "tuberculosis",
)  # fmt: skip
"""Words that the rooms put into places of sentences, beside those of :func:`vocabulary`."""


def main() -> int:
    """Update and compile every catalog; say what is missing."""
    wanted = messages()
    for language in LANGUAGES:
        path = po_path(language)
        old = read_catalog(language) if path.is_file() else Catalog(locale=language)
        new = updated(wanted, old, language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(po_bytes(new))
        path.with_suffix(".mo").write_bytes(mo_bytes(new))
        missing = [message for message in new if message.id and not message.string]
        print(f"{path.relative_to(ROOT)}: {len(new)} messages, {len(missing)} without a translation")
        if len(missing) <= 20:
            for message in missing:
                print(f"  {message.id}")
    return 0


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "hepacalc.po"


def read_catalog(language: str) -> Catalog:
    return read_po(io.BytesIO(po_path(language).read_bytes()), locale=language)


def updated(wanted: Iterable[tuple[str | None, str]], old: Catalog, language: str) -> Catalog:
    """Return a catalog of the wanted messages with the translations that are there."""
    new = Catalog(
        locale=language, project="hepacalc", version="", charset="utf-8", fuzzy=False, header_comment="# hepacalc"
    )
    by_hand = {*sentences(), *vocabulary()}
    for context, text in wanted:
        held = old.get(text, context)
        known = held.string if held is not None else ""
        if context is None and text in names(language) and text not in by_hand:
            known = names(language)[text]
        elif context is None and not known:
            known = names(language).get(text, "")
        new.add(text, known, context=context)
    return new


def po_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalog, width=0, omit_header=False, include_lineno=False, no_location=True)
    lines = out.getvalue().decode("utf-8").splitlines(keepends=True)
    # no stamps: the same translations give the same file
    kept = [
        line
        for line in lines
        if not re.match(
            r'"(POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator|'
            r"Language-Team|Report-Msgid-Bugs-To|Project-Id-Version)",
            line,
        )
    ]
    return "".join(kept).encode("utf-8")


def mo_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    clean = read_po(io.BytesIO(po_bytes(catalog)), locale=str(catalog.locale))
    clean.creation_date = clean.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    write_mo(out, clean)
    return out.getvalue()


# ---------------------------------------------------------------- what there is to translate


def messages() -> list[tuple[str | None, str]]:
    """Return ``(context, English)`` of every message: phrases by key, then sentences of the rooms."""
    from hepacalc.report.phrases import TABLES

    out: list[tuple[str | None, str]] = [
        (f"{table}.{key}" if table else key, text) for table, phrases in TABLES.items() for key, text in phrases.items()
    ]
    plain = dict.fromkeys([*sentences(), *vocabulary(), *names("en")])
    return out + [(None, sentence) for sentence in plain]


def vocabulary() -> list[str]:
    """Return the words that stand for ids of the patient file in sentences."""
    from hepacalc.patient import vocabulary as told
    from hepacalc.patient.analytes import ANALYTES
    from hepacalc.patient.schema import Virus
    from hepacalc.patient.schema_exam import ABDOMEN, CHEST, SPLEEN, InfectionTest
    from hepacalc.records import PATTERNS

    questions = [key.split(".")[-1] for block in told.QUESTIONS.values() for keys in block.values() for key in keys]
    keys = [*questions, *told.SITES, *told.SEROLOGY, *Virus.model_fields, *SPLEEN, *CHEST, *ABDOMEN, *ANALYTES]
    keys += get_args(InfectionTest.model_fields["infection"].annotation)
    found = [*WORDS, *PATTERNS, *(analyte.text for analyte in ANALYTES.values())]
    found += [source.citation for source in load_knowledge().sources.values() if source.citation.startswith(OWN)]
    return list(dict.fromkeys([*found, *(key.replace("_", " ") for key in keys)]))


OWN = ("hepacalc: ", "Nothing was found", "Published single cases")
"""How citations begin that are no publication but words of ours."""


@cache
def names(language: str) -> dict[str, str]:
    """Return short texts and ids of the knowledge base with their translation, which sentences may hold."""
    base = load_knowledge()
    held: list[Mapping[str, str]] = [cause.name for cause in base.causes.values()]
    held += [test.name for test in base.tests.values()]
    held += [fact.name for fact in base.facts.values()] + [lab.name for lab in base.labs.values()]
    held += [words for fact in base.facts.values() for words in fact.choices.values()]
    held += [words for setting in base.settings.values() for words in (setting.why, setting.name)]
    found: dict[str, str] = {}
    for holder in (*base.blocks.values(), *base.settings.values()):
        found[holder.id.replace("_", " ")] = holder.name.get(language, "")
    for block in base.blocks.values():
        held.append(block.name)
        for states in (block.axis_names or {"": block.state_names}).values():
            held += states.values()
            found |= {key.replace("_", " "): words.get(language, "") for key, words in states.items()}
    return found | {words["en"]: words.get(language, "") for words in held}


def sentences() -> list[str]:
    """Return the templates of sentences in the modules of :data:`READ`, sorted."""
    found: set[str] = set()
    for path in sorted({p for pattern in READ for p in SOURCE.glob(pattern)}):
        name = path.relative_to(SOURCE).as_posix()
        if name not in NO_WORDS:
            found |= set(templates(path.read_text("utf-8"), ONLY.get(name)))
    return sorted(found - NOT_SHOWN)


def templates(code: str, only: tuple[str, ...] | None = None) -> Iterator[str]:
    """Return the templates of one module, or of some of its functions."""
    tree = ast.parse(code)
    parts = [tree] if only is None else [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in only]
    for node in (string for part in parts for string in _strings(part)):
        for parts in itertools.islice(_variants(node), 64):
            template = _numbered(parts)
            if _is_sentence(template):
                yield template


def _strings(node: ast.AST) -> Iterator[ast.expr]:
    """Walk to the outermost string expressions, docstrings and the like left out."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Raise):
        call = node.exc
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") in SHOWN_ERRORS):
            return
        yield from _strings(call.args[0]) if call.args else ()
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
        return
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and _is_text(node)):
        yield node
        return
    if isinstance(node, ast.keyword) and node.arg in ("hint",):
        return
    for child in ast.iter_child_nodes(node):
        yield from _strings(child)


SHOWN_ERRORS = ("CannotJudge", "UnsupportedGeometry", "InconsistentSlices", "MeasurementError", "GeometryError")


def _is_text(node: ast.expr) -> bool:
    """Whether an expression is a text put together with ``+``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


Part = tuple[str, str]
"""``("text", words)``, ``("n", "")`` or ``("x", "")``."""


def _variants(node: ast.expr) -> Iterator[list[Part]]:
    """Return every form that a text can take, choices (``a if b else c``, plurals) written out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield [("text", node.value)]
    elif isinstance(node, ast.JoinedStr):
        for choice in itertools.product(*(list(_variants(value)) for value in node.values)):
            yield [part for parts in choice for part in parts]
    elif isinstance(node, ast.FormattedValue):
        if node.format_spec is None and _is_choice(node.value):
            yield from _variants(node.value)
        else:
            spec = ast.unparse(node.format_spec)[2:-1] if node.format_spec is not None else ""
            is_number = bool(spec) and spec[-1] in "fgde%"
            counted = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "len"
            yield [("n" if is_number or counted else "x", "")]
    elif isinstance(node, ast.IfExp):
        yield from _variants(node.body)
        yield from _variants(node.orelse)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left, right in itertools.product(list(_variants(node.left)), list(_variants(node.right))):
            yield left + right
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.Constant):
        yield [("text", "")]
        yield [("text", str(node.left.value))]
    else:
        yield [("x", "")]


def _is_choice(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) or _is_text(node.orelse)
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.Constant)


def _numbered(parts: list[Part]) -> str:
    out, count = "", {"n": 0, "x": 0}
    for kind, words in parts:
        if kind == "text":
            out += words.replace("{", "(").replace("}", ")")
        else:
            count[kind] += 1
            out += f"{{{kind}{count[kind]}}}"
    # a part that is put behind another by a comma, a semicolon or a bracket
    return out.strip().lstrip(",;").strip().rstrip(",;:").strip()


def _is_sentence(template: str) -> bool:
    """Whether a template holds words of a sentence: not a key, a pattern, a format or a name."""
    words = re.sub(r"\{[nx]\d\}", "", template)
    if re.search(r"[\\|^$<>\[\]_@]|\.\*|--[a-z]|\n", words) or template in ("", "s"):
        return False
    return " " in template and bool(re.search(r"[a-z]{2,}", words))


if __name__ == "__main__":
    sys.exit(main())
