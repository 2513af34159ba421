"""The names that ``import hepacalc`` promises: there, sorted, documented, quick."""

import importlib
import inspect
import subprocess
import sys
import types

import pytest

import hepacalc
from hepacalc import errors, geometry, records
from hepacalc.errors import STATUS, HepacalcError

HEAVY = ("numpy", "scipy", "pydicom", "nibabel", "onnxruntime", "highdicom", "pydantic", "jinja2", "PIL")


def test_names_are_sorted_and_single():
    assert hepacalc.__all__ == sorted(set(hepacalc.__all__))


@pytest.mark.parametrize("name", [n for n in hepacalc.__all__ if n != "__version__"])
def test_name_is_there_and_documented(name):
    thing = getattr(hepacalc, name)
    assert callable(thing)
    assert inspect.getdoc(thing)
    assert thing.__module__.startswith("hepacalc.")
    assert thing.__name__ == name


@pytest.mark.parametrize("module", [errors, geometry, records])
def test_modules_list_their_names_sorted(module):
    constants = [n for n in module.__all__ if n.isupper()]
    others = [n for n in module.__all__ if not n.isupper()]
    assert module.__all__ == sorted(constants) + sorted(others)


def test_every_name_is_in_the_docstring_or_a_record():
    verbs = [n for n in hepacalc.__all__ if n.islower() and n != "__version__"]
    told = hepacalc.__doc__
    missing = [n for n in verbs if n not in told]
    # names that only help another one
    assert set(missing) <= {"calibration_for", "load_schema", "read_calibration", "segmenter_names", "summary_text"}


def test_version_is_that_of_the_package():
    from importlib.metadata import version

    assert hepacalc.__version__ == version("hepacalc")


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hepacalc.nothing  # noqa: B018


def test_dir_lists_the_public_names():
    assert set(hepacalc.__all__) <= set(dir(hepacalc))


def test_the_function_assess_is_not_hidden_by_its_module():
    importlib.import_module("hepacalc.assess")
    assert isinstance(hepacalc.assess, types.FunctionType)
    from hepacalc import assess

    assert assess is sys.modules["hepacalc.assess"].assess


def _loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sorted(m for m in sys.modules if m in {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_import_is_light():
    assert not _loaded("import hepacalc")


def test_help_is_light():
    code = "from hepacalc.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert not _loaded(code)


def _leaves(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _leaves(child)


def test_every_error_has_a_code_of_its_own_and_a_status():
    tree = [e for e in _leaves(HepacalcError) if e.__module__ == "hepacalc.errors"]
    assert {e.__name__ for e in tree} == set(errors.__all__) - {"STATUS", "Status", "HepacalcError"}
    codes = [e.code for e in tree]
    assert len(codes) == len(set(codes))
    for error in tree:
        assert error("found.", hint="do.").status is (STATUS.get(error.code) or STATUS[error.code.split("-")[0]])
        assert error.__name__ in errors.__doc__
        if not error.code.endswith("-00"):
            assert error.code in errors.__doc__
