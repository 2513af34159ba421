"""What the command line prints and how it leaves, with the assessment itself replaced by a made-up one."""

import io
import json
import sys
import warnings
from pathlib import Path

import pytest

import hepacalc
from hepacalc import errors
from hepacalc.cli import main
from hepacalc.report import FOCI_TABLE_HEADER, OUTPUTS, load_schema
from hepacalc.terminal import Guard, show_progress
from report_example import make_example

EXAMPLE = make_example()


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one call."""
    status = 0
    try:
        main([str(a) for a in arguments])
    except SystemExit as leaving:
        status = leaving.code or 0
    return status, *capsys.readouterr()


@pytest.fixture
def answered(monkeypatch):
    """``hepacalc.assess`` gives the example; the arguments it got are in the list."""
    calls = []

    def assess(study, **options):
        calls.append((study, options))
        return EXAMPLE

    monkeypatch.setitem(vars(hepacalc), "assess", assess)
    return calls


def fails(monkeypatch, error: BaseException):
    def assess(study, **options):
        raise error

    monkeypatch.setitem(vars(hepacalc), "assess", assess)


def test_ends_with_table_summary_report_and_times(answered, capsys, tmp_path):
    status, out, err = run(capsys, "assess", tmp_path, "-o", tmp_path / "out")
    assert status == 0
    assert err == ""
    assert all(name in out for name in FOCI_TABLE_HEADER)
    assert out.count("\n") > len(EXAMPLE.foci)
    assert hepacalc.summary_text(EXAMPLE) in out
    assert f"Report: {tmp_path / 'out' / 'report.html'}" in out
    assert all(name in out.splitlines()[-1] for name, _ in EXAMPLE.run.seconds)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(OUTPUTS)


def test_piped_table_has_one_line_a_focus_without_colour(answered, capsys, tmp_path):
    _, out, _ = run(capsys, "assess", tmp_path, "-o", tmp_path / "out")
    assert "\x1b" not in out
    assert "…" not in out
    for focus in EXAMPLE.foci:
        assert any(line.split()[:1] == [str(focus.id)] for line in out.splitlines())


def test_json_is_one_valid_document(answered, capsys, tmp_path):
    import jsonschema

    status, out, err = run(capsys, "assess", tmp_path, "-o", tmp_path / "out", "--json")
    assert (status, err) == (0, "")
    jsonschema.validate(json.loads(out), load_schema())
    assert out == (tmp_path / "out" / "assessment.json").read_text("utf-8")


def test_options_reach_the_call(answered, capsys, tmp_path):
    files = ("--liver-mask", "m.nii", "--calibration", "c.csv")
    run(capsys, "assess", "s", "-o", tmp_path / "o", "--series", "1.2", *files, "--allow-gaps", "--agatston",
        "--patient", "p.yaml")  # fmt: skip
    [(study, options)] = answered
    assert study == Path("s")
    assert options.pop("progress") is None
    assert options == {
        "series": "1.2", "liver_mask": Path("m.nii"), "segmenter": "embedded", "calibration": Path("c.csv"),
        "agatston": True, "allow_gaps": True, "patient": Path("p.yaml"), "knowledge": None, "foci_mask": None,
        "priors": (),
    }  # fmt: skip


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n not in ("STATUS", "Status", "HepacalcError")])
def test_each_error_has_its_line_and_exit_status(monkeypatch, capsys, tmp_path, name):
    error = getattr(errors, name)("wanted a, found b.", hint="Do c.")
    fails(monkeypatch, error)
    status, out, err = run(capsys, "assess", "s", "-o", tmp_path / "out")
    assert status == error.status.exit_status != 0
    assert err == f"{error.code} {name}: wanted a, found b. Do c.\n"
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_json_error_is_one_document(monkeypatch, capsys, tmp_path):
    fails(monkeypatch, errors.NoUsableLiver("found none.", hint="Look."))
    status, out, _ = run(capsys, "assess", "s", "-o", tmp_path / "out", "--json")
    assert status == 5
    assert json.loads(out) == {
        "error": {"code": "LIV-01", "name": "NoUsableLiver", "message": "found none.", "hint": "Look."}
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("assess",), ("assess", "s"), ("bogus",), ("assess", "s", "-o", "o", "--nothing"), ("--nothing",),
        ("assess", "s", "-o", "o", "--liver-mask", "m", "--segmenter", "embedded"),
        ("phantom", "-o", "o", "--seed", "x"), ("phantom", "-o", "o", "--phase", "x"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_a_usage_error(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith("USE-01 UsageError: ")
    assert err.count("\n") == 1
    assert out == ""
    assert not list(tmp_path.iterdir())
    status, out, _ = run(capsys, *arguments, "--json")
    assert status == 2
    assert json.loads(out)["error"]["code"] == "USE-01"


def test_nothing_is_read_when_the_output_cannot_be_written(answered, capsys, tmp_path):
    (tmp_path / "file").write_text("x")
    status, _, err = run(capsys, "assess", "s", "-o", tmp_path / "file")
    assert status == 7
    assert err.startswith("OUT-01 ")
    assert not answered


def test_unexpected_error_is_one_line_without_its_text(monkeypatch, capsys, tmp_path):
    fails(monkeypatch, ValueError("Nobody^Secret"))
    status, out, err = run(capsys, "assess", "s", "-o", tmp_path / "out")
    assert status == 70
    assert err.startswith("GEN-00 InternalError: ")
    assert "please report" in err
    assert err.count("\n") == 1
    assert "Secret" not in err + out
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback(monkeypatch, capsys, tmp_path):
    fails(monkeypatch, ValueError("deep down"))
    status, _, err = run(capsys, "assess", "s", "-o", tmp_path / "out", "--debug")
    assert status == 70
    assert "Traceback" in err
    assert "deep down" in err
    assert "please report" in err


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (MemoryError(), 70)])
def test_interrupt_and_memory(monkeypatch, capsys, tmp_path, error, status):
    fails(monkeypatch, error)
    found, out, err = run(capsys, "assess", "s", "-o", tmp_path / "out")
    assert found == status
    assert err.count("\n") == 1
    assert out == ""
    found, out, _ = run(capsys, "assess", "s", "-o", tmp_path / "out", "--json")
    assert found == status
    assert set(json.loads(out)["error"]) == {"code", "name", "message", "hint"}


def test_warnings_stay_inside(monkeypatch, capsys, tmp_path):
    def assess(study, **options):
        warnings.warn("internal matter", UserWarning, stacklevel=1)
        return EXAMPLE

    monkeypatch.setitem(vars(hepacalc), "assess", assess)
    status, _, err = run(capsys, "assess", "s", "-o", tmp_path / "out")
    assert (status, err) == (0, "")


def test_output_that_cannot_show_a_letter(answered, monkeypatch, tmp_path):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    main(["assess", "s", "-o", str(tmp_path / "Leber 肝")])
    assert b"Report: " in raw.getvalue()


def test_progress_draws_only_for_a_person(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    with show_progress() as tell:
        assert tell is None
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with show_progress() as tell:
        assert tell is not None
        for stage in ("reading", "finding"):
            for share in (0.0, 0.5, 1.0, 7.0):
                tell(stage, share)
    assert "reading" in screen.getvalue()
    assert "finding" in screen.getvalue()


def test_closed_pipe_leaves_quietly(monkeypatch, capfd):
    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(SystemExit) as leaving, Guard():
        sys.stdout.write("x")
    assert leaving.value.code == 141
    assert capfd.readouterr().err == ""


def test_version_and_help(capsys):
    assert run(capsys, "--version") == (0, f"hepacalc {hepacalc.__version__}\n", "")
    for arguments in ((), ("--help",), ("-h",), ("assess", "--help"), ("phantom", "-h")):
        status, out, err = run(capsys, *arguments)
        assert (status, err) == (0, "")
        assert "Usage: hepacalc" in out
