"""Build sdist and wheel, and try them as a user would.

1. ``python -m build``: the sdist, and the wheel from the sdist. The wheel holds what stands in src/, NiiVue where npm
   gave it (``--niivue``: it has to be there), nothing else, and is small; the sdist holds no tests and no data.
2. For each Python from 3.11 to 3.13 that is here: a clean environment, the wheel, ``pip check``, ``hepacalc --help``,
   a digital patient assessed. Those that are not here are said.
3. A bill of materials (CycloneDX, JSON) of the first environment and of NiiVue, validated: ``dist/*.cdx.json``.
4. With ``--extras``: each extra in an environment of its own. Every module of hepacalc is imported; only a package of
   another extra may be missing. With ``--citation``: CITATION.cff against its schema, by cffconvert.

Exit status 1 when something is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import niivue

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PYTHONS = ("python3.11", "python3.12", "python3.13")
LARGEST_MB = 12.0
NIIVUE = f"hepacalc/server/static/niivue/{niivue.NAME}"
NIIVUE_FILES = {NIIVUE, f"hepacalc/server/static/niivue/{niivue.LICENCES}"}
EXTRAS = ("pdf", "postgresql", "ray", "server", "telemetry")
"""``totalsegmentator`` brings PyTorch, gigabytes of it: only when named."""
BUNDLED = {
    "bom-ref": f"niivue@{niivue.VERSION}", "type": "library", "group": "@niivue", "name": "niivue",
    "version": niivue.VERSION, "purl": f"pkg:npm/%40niivue/niivue@{niivue.VERSION}", "licenses": [{"license":
    {"id": "BSD-2-Clause"}}], "hashes": [{"alg": "SHA-256", "content": niivue.SHA256}],
    "description": "one file inside hepacalc's wheel; what is bundled into it stands in niivue-licences.txt beside it",
}  # fmt: skip
"""Of the bill of materials: no metadata of an environment tells of it."""
IMPORT_ALL = """
import importlib, json, pkgutil
import hepacalc
missing = {}
for module in pkgutil.walk_packages(hepacalc.__path__, "hepacalc."):
    # scripts that Alembic runs are no modules
    if module.name.endswith("__main__") or ".migrations" in module.name:
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as fault:
        missing[module.name] = fault.name
print(json.dumps({"missing": missing, "where": hepacalc.__file__, "version": hepacalc.__version__}))
"""
PROVIDED = """
import importlib, json, sys
from importlib.metadata import packages_distributions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from importlib.metadata import requires
extra = sys.argv[1]
wanted = [Requirement(r) for r in requires("hepacalc") if f'extra == "{extra}"' in r]
names = {canonicalize_name(r.name) for r in wanted}
homes = [m for m, owners in packages_distributions().items() if names & {canonicalize_name(o) for o in owners}]
homes = [m for m in homes if m.isidentifier() and not m.startswith("_")]
for module in homes:
    importlib.import_module(module)
print(json.dumps({"requirements": len(wanted), "modules": sorted(homes)}))
"""


class Fault(Exception):
    """Something that a user would stumble over."""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command without our PYTHONPATH; return what it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd or ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Fault(f"{' '.join(map(str, command))[:160]}: exit status {done.returncode}\n{done.stderr[-1500:]}")
    return done.stdout


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"[{time.process_time() + sum(os.times()[2:4]):6.0f} CPU s] {text}", flush=True)


def build(dist: Path) -> tuple[Path, Path]:
    """Build into an empty ``dist``; return sdist and wheel."""
    shutil.rmtree(dist, ignore_errors=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        # from a copy: the build leaves nothing behind, and cannot pick up what an earlier one left
        copy = Path(name, "checkout")
        leave = shutil.ignore_patterns(
            ".git", ".venv*", "*.egg-info", "__pycache__", "docs-out", "demo", "bench-out", "dist"
        )
        shutil.copytree(ROOT, copy, ignore=leave)
        run(sys.executable, "-m", "build", "--outdir", dist, copy)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    return sdist, wheel


def check_wheel(wheel: Path) -> str:
    """The wheel holds src/hepacalc, whole, and beside it NiiVue with its licences or nothing."""
    megabytes = wheel.stat().st_size / 1e6
    if megabytes > LARGEST_MB:
        raise Fault(f"{wheel.name} has {megabytes:.1f} MB, wanted {LARGEST_MB:g} at most")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = [name for name in archive.namelist() if ".dist-info/" in name]
        extra = held & NIIVUE_FILES
        if NIIVUE in extra and hashlib.sha256(archive.read(NIIVUE)).hexdigest() != niivue.SHA256:
            raise Fault(f"{wheel.name}: {NIIVUE} has not the digest of NiiVue {niivue.VERSION}")
    if extra and extra != NIIVUE_FILES:
        raise Fault(f"{wheel.name} lacks {sorted(NIIVUE_FILES - extra)}")
    wanted = {path.relative_to(SOURCE).as_posix() for path in _files(SOURCE / "hepacalc")} - NIIVUE_FILES
    held -= extra
    if held != wanted:
        raise Fault(f"{wheel.name}: missing {sorted(wanted - held)[:9]}, too much {sorted(held - wanted)[:9]}")
    if not any(name.endswith("LICENSE") for name in about):
        raise Fault(f"{wheel.name} holds no LICENSE")
    told = f"with NiiVue {niivue.VERSION}" if extra else "without NiiVue: npm did not give it"
    return f"{wheel.name}: {megabytes:.2f} MB, {len(held)} files, {told}"


def check_sdist(sdist: Path) -> str:
    """The sdist builds the wheel and holds no tests, no data and no picture."""
    with tarfile.open(sdist) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    other = {name for name in names if name.split("/")[0] in ("tests", "shared", "docs", "benchmarks", "training")}
    other |= {name for name in names if name.endswith(NIIVUE)}
    if other:
        raise Fault(f"{sdist.name} holds {sorted(other)[:9]}")
    lacking = {"pyproject.toml", "LICENSE", "README.md", "CITATION.cff"} - set(names)
    if lacking:
        raise Fault(f"{sdist.name} lacks {sorted(lacking)}")
    return f"{sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB, {len(names)} files"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def is_there(python: str) -> bool:
    """Whether a version of Python runs here; a version manager may know the name and lack the version."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def install(python: str, venv: Path, wheel: Path, extra: str = "") -> Path:
    """Make a clean environment with the wheel; return its Python."""
    shutil.rmtree(venv, ignore_errors=True)
    run(python, "-m", "venv", venv)
    inside = venv / "bin" / "python"
    target = f"{wheel}[{extra}]" if extra else str(wheel)
    run(inside, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-c", ROOT / "constraints.txt", target)
    run(inside, "-m", "pip", "check")
    return inside


def try_out(python: Path, version: str) -> str:
    """The command, a digital patient, the files that it should write."""
    program = python.parent / "hepacalc"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "assess" not in run(program, "--help", cwd=folder):
            raise Fault("hepacalc --help does not name assess")
        if run(program, "--version", cwd=folder).split() != ["hepacalc", version]:
            raise Fault(f"hepacalc --version is not {version}")
        run(program, "phantom", "-o", "made", "--slice-mm", "5", "--pixel-mm", "1.8", "--seed", "3", cwd=folder)
        run(program, "assess", "made/dicom", "-o", "out", cwd=folder)
        assessment = json.loads((folder / "out" / "assessment.json").read_text("utf-8"))
        kinds = [focus["kind"] for focus in assessment["foci"]]
        if kinds.count("calcification") < 3 or not (folder / "out" / "report.html").is_file():
            raise Fault(f"the digital patient was not assessed as expected: {kinds}")
    return f"{python.parent.parent.name}: help, version, {len(kinds)} candidates of the digital patient"


def import_all(python: Path, extra: str, wanted: set[str]) -> str:
    """Import every module of hepacalc; only packages of other extras may be missing."""
    with tempfile.TemporaryDirectory() as name:
        told: dict[str, Any] = json.loads(run(python, "-W", "error", "-c", IMPORT_ALL, cwd=Path(name)))
        if str(SOURCE) in told["where"]:
            raise Fault(f"hepacalc was imported from {told['where']}, not from the wheel")
        own = {module: name for module, name in told["missing"].items() if name.split(".")[0] not in wanted}
        if own:
            raise Fault(f"{extra or 'core'}: these cannot be imported: {own}")
        lines = [f"{extra or 'core'}: all modules import"]
        if told["missing"]:
            lines.append(f", but {len(told['missing'])} that want {', '.join(sorted(set(told['missing'].values())))}")
        if extra:
            provided = json.loads(run(python, "-c", PROVIDED, extra, cwd=Path(name)))
            if not provided["modules"]:
                raise Fault(f"extra {extra}: none of its packages is there")
            lines.append(f"; {', '.join(provided['modules'])} import")
    return "".join(lines)


def bill(python: Path, dist: Path, wheel: Path) -> str:
    """Write and validate the bill of materials of an environment."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    path = dist / f"{wheel.name.split('-py3')[0]}.cdx.json"
    tool = Path(sys.executable).parent / "cyclonedx-py"
    run(tool, "environment", python, "--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--validate",
        "--of", "JSON", "-o", path)  # fmt: skip
    told = json.loads(path.read_text("utf-8"))
    # where this machine keeps the wheel is nobody's business
    for part in told["components"]:
        links = [link for link in part.get("externalReferences", ()) if not link["url"].startswith("file:")]
        if links:
            part["externalReferences"] = links
        else:
            part.pop("externalReferences", None)
    with zipfile.ZipFile(wheel) as archive:
        if NIIVUE in archive.namelist():
            told["components"].append(BUNDLED)
    path.write_text(json.dumps(told, indent=1), "utf-8")
    wrong = JsonStrictValidator(SchemaVersion.from_version(told["specVersion"])).validate_str(path.read_text("utf-8"))
    if wrong is not None:
        raise Fault(f"{path.name} is no CycloneDX: {wrong}")
    licensed = sum(bool(part.get("licenses")) for part in told["components"])
    return f"{path.name}: {len(told['components'])} components, {licensed} with a licence"


def optional_modules() -> set[str]:
    """Top modules that only the extras of users bring, by the packages that are installed here."""
    from importlib.metadata import packages_distributions, requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    extras = re.compile(rf'extra == "({"|".join((*EXTRAS, "totalsegmentator"))})"')
    wanted = {canonicalize_name(Requirement(text).name) for text in requires("hepacalc") or () if extras.search(text)}
    found = {
        module
        for module, owners in packages_distributions().items()
        if wanted & {canonicalize_name(owner) for owner in owners}
    }
    # PyTorch comes with TotalSegmentator, Starlette with FastAPI
    return found | {"totalsegmentator", "torch", "starlette"}


def main() -> int:
    """Run the steps that were asked for."""
    parser = argparse.ArgumentParser(prog="scripts/release_check", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where they go; emptied first")
    parser.add_argument("--venv", type=Path, help="keep the first environment here")
    parser.add_argument("--one-python", action="store_true", help="try only the Python that runs this")
    parser.add_argument("--extras", nargs="?", const=",".join(EXTRAS), default="", help="all, or names with commas")
    parser.add_argument("--niivue", action="store_true", help="a wheel without NiiVue is a fault")
    parser.add_argument("--citation", action="store_true", help="validate CITATION.cff by cffconvert")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        try:
            sdist, wheel = build(given.dist.resolve())
            say(check_sdist(sdist))
            told = check_wheel(wheel)
            say(told)
            if given.niivue and "without NiiVue" in told:
                raise Fault("a release holds NiiVue: npm and the network are needed to build it")
            version = re.split("-", wheel.name)[1]
            optional = optional_modules()
            pythons = [sys.executable] if given.one_python else PYTHONS
            for number, python in enumerate(pythons):
                if not is_there(python):
                    say(f"{python}: not here, skipped")
                    continue
                venv = given.venv.resolve() if given.venv and number == 0 else scratch / Path(python).name
                inside = install(python, venv, wheel)
                say(try_out(inside, version))
                say(import_all(inside, "", optional))
                if number == 0:
                    say(bill(inside, given.dist.resolve(), wheel))
            for extra in filter(None, given.extras.split(",")):
                say(import_all(install(sys.executable, scratch / extra, wheel, extra), extra, optional))
            if given.citation:
                run(sys.executable, "-m", "venv", scratch / "cff")
                run(scratch / "cff" / "bin" / "python", "-m", "pip", "install", "-qq", "cffconvert")
                run(scratch / "cff" / "bin" / "cffconvert", "--validate", "-i", ROOT / "CITATION.cff")
                say("CITATION.cff is valid")
        except Fault as fault:
            print(f"FAILED: {fault}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
