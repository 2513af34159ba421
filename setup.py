"""What pyproject.toml cannot say: a wheel takes one file from npm, where npm is (scripts/niivue.py)."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

import niivue


class BuildPy(build_py):
    """Copies what lies in src/, then brings NiiVue; an editable installation brings it by hand."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            print(niivue.put_into(Path(self.build_lib, "hepacalc", "server", "static", "niivue")), flush=True)


setup(cmdclass={"build_py": BuildPy})
