"""The translations of the report: ``python scripts/catalogs.py`` brings them in step with the code.

Collects every message that a reader may meet, updates ``src/hepacalc/report/locale/LANGUAGE/LC_MESSAGES/hepacalc.po``
(kept: what is translated; new: empty; gone: taken out) and compiles it. Two kinds of message:

* phrases of the report by key (``words.text("key")``): the key is the context (``msgctxt``);
* sentences that the rooms build with numbers in them: the code is read, ``{n1}`` stands for a number and ``{x1}`` for
  words. The report finds them again by their pattern (``report/sentences.py``), since ``assessment.json`` holds English.

Needs Babel (extra ``test``).
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "hepacalc"
LOCALE = SOURCE / "report" / "locale"
LANGUAGES = ("zh",)

READ = (
    "foci/*.py", "liver/*.py", "study/quality/*.py", "study/series.py", "study/choose.py", "study/dicom.py",
    "study/stack.py", "study/nifti.py", "study/nifti_study.py", "study/scan.py", "study/__init__.py",
    "study/calibration_file.py",
    "reason/ct_findings.py", "reason/differential.py", "reason/next_test.py", "patient/checks.py", "patient/imaging.py",
    "patient/laboratory.py", "patient/fetal.py", "patient/background.py", "patient/setting.py",
    "patient/statements.py", "patient/to_findings.py", "consult.py", "assess.py",
)  # fmt: skip
"""Modules whose sentences reach a reader of the report."""

NOT_SHOWN = {
    "foci/_shape_features.py": None,
    "foci/_pattern_model.py": None,
    "liver/place.py": None,
    "patient/checks.py": ("_warnings", "warnings_of", "check_warnings"),
}


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
    for context, text in wanted:
        held = old.get(text, context)
        new.add(text, held.string if held is not None else "", context=context)
    return new


def po_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalog, width=0, omit_header=False, include_lineno=False, no_location=True)
    lines = out.getvalue().decode("utf-8").splitlines(keepends=True)
    # no stamps: the same translations give the same file
    kept = [line for line in lines if not re.match(r'"(POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator|'
            r'Language-Team|Report-Msgid-Bugs-To|Project-Id-Version)', line)]
    return "".join(kept).encode("utf-8")


def mo_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    clean = read_po(io.BytesIO(po_bytes(catalog)), locale=str(catalog.locale))
    write_mo(out, clean)
    return out.getvalue()


# ---------------------------------------------------------------- what there is to translate


def messages() -> list[tuple[str | None, str]]:
    """Return ``(context, English)`` of every message: phrases by key, then sentences of the rooms."""
    from hepacalc.report.phrases import TABLES

    out: list[tuple[str | None, str]] = [
        (f"{table}.{key}" if table else key, text) for table, phrases in TABLES.items() for key, text in phrases.items()
    ]
    return out + [(None, sentence) for sentence in sentences()]


def sentences() -> list[str]:
    """Return the templates of sentences in the modules of :data:`READ`, sorted."""
    found: set[str] = set()
    for path in sorted({p for pattern in READ for p in SOURCE.glob(pattern)}):
        if path.relative_to(SOURCE).as_posix() in NOT_SHOWN:
            continue
        found |= set(templates(path.read_text("utf-8")))
    return sorted(found)


def templates(code: str) -> Iterator[str]:
    """Return the templates of one module."""
    for node in _strings(ast.parse(code)):
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
            yield [("n" if spec[-1:] in tuple("fgde%") and spec else "x", "")]
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
