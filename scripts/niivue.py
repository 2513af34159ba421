"""Bring NiiVue, the viewer in three dimensions, from npm: ``python scripts/niivue.py`` puts it where the server looks.

The wheel's build calls :func:`put_into`. One pinned version is asked of the ordinary npm client; what comes is taken
only if its digest is the one below. Where it cannot be had nothing is written, and the server shows its own
viewer alone. A newer version: its ``dist.integrity`` (``npm view``), the digest of the file, a look at its licences.
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "0.69.0"
PACKAGE_SHA512 = "YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA=="
SHA256 = "d6c2be4feb1ad53b2ac76b4196da8d8fd2263b662b511c55ca0fd127eb6a6532"
"""Of the one file that is taken out of the package."""
MEMBER = "package/dist/index.js"
NAME, LICENCES = "niivue.js", "niivue-licences.txt"
LONGEST_S = 20
HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "src" / "hepacalc" / "server" / "static" / "niivue"


def put_into(folder: Path, own: Path = STATIC) -> str:
    """Write the bundle and its licences into ``folder``; return one line that says what was done.

    Args:
        folder: made if need be; taken away, with what an earlier build left, when the bundle cannot be had.
        own: where a copy may lie that was brought before.
    """
    try:
        bundle = held(own / NAME) or fetched()
    except Absent as why:
        shutil.rmtree(folder, ignore_errors=True)
        return f"built without NiiVue ({why}); the server shows its own viewer"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(bundle)
    shutil.copyfile(HERE / LICENCES, folder / LICENCES)
    for name in (NAME, LICENCES):
        # a time that does not tell when it was built, so that the same sdist gives the same wheel
        shutil.copystat(__file__, folder / name)
    return f"NiiVue {VERSION} is in {folder.name}/"


class Absent(Exception):
    """NiiVue cannot be had; the message says why."""


def held(path: Path) -> bytes | None:
    """Return a copy that is whole; None when there is none."""
    bundle = path.read_bytes() if path.is_file() else b""
    return bundle if hashlib.sha256(bundle).hexdigest() == SHA256 else None


def fetched() -> bytes:
    """Return the bundle from npm.

    Raises:
        Absent: there is no npm, no answer in time, or the wrong one.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Absent("npm is not here")
    with tempfile.TemporaryDirectory() as name:
        command = [npm, "pack", f"@niivue/niivue@{VERSION}", "--silent", "--ignore-scripts", "--fetch-retries=0"]
        try:
            subprocess.run(command, cwd=name, check=True, capture_output=True, timeout=LONGEST_S)
        except (OSError, subprocess.SubprocessError) as fault:
            raise Absent(f"npm gave nothing: {type(fault).__name__}") from fault
        packed = b"".join(path.read_bytes() for path in Path(name).glob("*.tgz"))
    return taken(packed)


def taken(packed: bytes) -> bytes:
    """Return the bundle out of a package.

    Raises:
        Absent: it is not the package that is wanted.
    """
    if base64.b64encode(hashlib.sha512(packed).digest()).decode() != PACKAGE_SHA512:
        raise Absent(f"what npm gave has not the digest of {VERSION}")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.extractfile(MEMBER)
        assert member is not None
        bundle = member.read()
    if hashlib.sha256(bundle).hexdigest() != SHA256:
        raise Absent("the bundle has not the digest that is pinned")
    return bundle


def main() -> int:
    """Bring it into the source tree, for an editable installation."""
    print(put_into(STATIC))
    return 0 if held(STATIC / NAME) else 1


if __name__ == "__main__":
    sys.exit(main())
