"""A generated registry of any size: a real log, chained event by event, and the tables that follow from it.

Patients come one after another, each with five exams over the years; the last two have a plan. Three in ten follow-ups
are open, of which one in seven is due, due soon, overdue or lost. Rows are written in bulk (executemany, COPY), and are
those that ``project.py`` would derive from the events: ``registry check`` derives them again and compares.
"""

from __future__ import annotations

import hashlib
import io
import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from hepacalc.followup.schedule import Interval, Step
from hepacalc.reason.records import Names
from hepacalc.registry import tables as t
from hepacalc.registry.database import open_database
from hepacalc.registry.events import GENESIS, canonical, digest_of
from hepacalc.registry.wordings import step_texts

TODAY = date(2026, 11, 26)
EXAMS = 5
CHUNK = 4000
TABLES = (t.event, *t.DERIVED)
Rows = dict[str, list[tuple[Any, ...]]]

_EVERY = "every 6-12 months"


def _both(english: str, chinese: str) -> Names:
    return (("en", english), ("zh", chinese))


def _made(rule: str, action: str, urgency: str) -> Step:
    return Step(
        rule, _both(action, "复查"), _both("ultrasound", "超声"), _both(_EVERY, "每6-12个月"), ("ultrasound",), urgency,
        None, None, Interval(6, 12, "month"), (_both("generated", "生成"),), ("J-RULE",), "ours", (),
        (("J-RULE", "a rule of the authors"),),
    )  # fmt: skip


_STEPS = (
    _made("look_once_more", "One more look.", "routine"),
    _made("act_malignant", "Characterise it.", "urgent"),
    _made("ce_stage", "Stage the cyst.", "soon"),
)
TEXTS = [canonical(step_texts(step)) for step in _STEPS]
STOP = canonical({"texts": [{"en": "Then stop.", "zh": "此后停止。"}]})
DIGESTS, STOP_DIGEST = [digest_of(one) for one in TEXTS], digest_of(STOP)
_WINDOWS = ((0.02, -400, -200), (0.07, -150, -1), (0.11, -60, 60), (0.15, 10, 29), (1.0, 31, 400))
"""Share up to, and how many days from today the last day (of the first three), or the first day lies."""


def patients(count: int, seed: int = 1) -> Iterator[Rows]:
    """Yield the rows of every table, some thousand patients at a time, in the order of the log."""
    rng = random.Random(seed)
    seq, before = 0, GENESIS
    rows: Rows = {one.name: [] for one in TABLES}
    at, by = "2026-11-26T00:00:00.000Z", "generator"

    def event(kind: str, patient: int, body: str) -> int:
        nonlocal seq, before
        seq += 1
        before = hashlib.sha256(f"{before}\n{seq}\n{at}\n{by}\n{kind}\n{patient}\n{body}".encode()).hexdigest()
        rows["event"].append((seq, at, by, kind, patient, body, before))
        return seq

    for number in range(1, count + 1):
        key = f"P{number:08d}"
        patient = event("registered", seq + 1, f'{{"key":"{key}"}}')
        rows["patient"].append((patient, key, *_exams(rng, rows, event, number, patient)))
        if number % CHUNK == 0 or number == count:
            yield rows
            rows = {one.name: [] for one in TABLES}


def _exams(
    rng: random.Random, rows: Rows, event: Callable[[str, int, str], int], number: int, patient: int
) -> tuple[str, str | None, int]:
    """Add the exams of a patient; returns how follow-up stands, why, and since which event."""
    is_open, has_lesion = rng.random() < 0.3, number % 4 == 0
    first, last = _window(rng) if is_open else (None, None)
    final = (first - timedelta(days=180)) if first is not None else TODAY - timedelta(days=rng.randrange(30, 1500))
    choice = rng.randrange(3)
    lesion = f"2.25.{10**30 + number}"
    plan_before = None
    for k in range(EXAMS):
        day = (final - timedelta(days=365 * (EXAMS - 1 - k))).isoformat()
        study = f"1.2.826.0.1.77.{number * EXAMS + k:012d}"
        digest = f"{number * EXAMS + k:064x}"
        mass = 10 + number % 90 + k
        is_last, with_plan = k == EXAMS - 1, k >= EXAMS - 2
        seen = ""
        if has_lesion:
            seen = (
                f'{{"centroid_mm":[1.5,2.5,3.5],"certainty":"certain","extent":{{"high":6.5,"low":4.5,"value":5.5}},'
                f'"kind":"calcification","mass":{{"high":{mass + 1}.5,"low":{mass - 1}.5,"value":{mass}.5}},'
                f'"name":"focus-{number % 10**8:08d}","new":{"false" if k else "true"},"number":1,"pattern":"punctate",'
                f'"segment":"VI","uid":"{lesion}","volume":{{"high":60.5,"low":40.5,"value":50.5}}}}'
            )
        plan = "null"
        closes = supersedes = ""
        told, state = "null", "none"
        if with_plan:
            window = (first.isoformat(), last.isoformat()) if is_last and first and last else (day, day)
            steps = ""
            if not is_last or is_open:
                steps = (
                    f'{{"every":"{_EVERY}","first":"{window[0]}","last":"{window[1]}","number":1,"provided":false,'
                    f'"rule":"{_STEPS[choice].rule}","urgency":"{_STEPS[choice].urgency}","wording":"{DIGESTS[choice]}"}}'
                )
            plan = (
                f'{{"day":"{day}","flags":[],"knowledge":"made","state":"current","steps":[{steps}],'
                f'"stop":"{STOP_DIGEST}"}}'
            )
            state = "open" if steps else "finished"
            told = f'{{"state":"{state}","why":{"null" if steps else _quoted(STOP_DIGEST)}}}'
            if plan_before is not None:
                supersedes = str(plan_before)
                closes = f'{{"number":1,"on":"{day}","plan":{plan_before},"result":"unchanged","state":"done"}}'
        body = (
            f'{{"assessment":{{"calcifications":{int(has_lesion)},"certain":{int(has_lesion)},"digest":"{digest}",'
            f'"hepacalc":"0.1.0","indeterminate":0,"knowledge":"made","made":"{day}T10:00:00+00:00",'
            f'"mass":{{"high":{mass + 1}.5,"low":{mass - 1}.5,"value":{mass}.5}},"mimics":2,"phase":"non-contrast",'
            f'"versions":{{}},"volume":{{"high":60.5,"low":40.5,"value":50.5}}}},"closes":[{closes}],'
            f'"exam":{{"day":"{day}","id":null,"modality":"CT","series":"{study}.1","study":"{study}"}},'
            f'"follow_up":{told},"lesions":[{seen}],"links":[],"plan":{plan},"supersedes":[{supersedes}]}}'
        )
        seq = event("assessed", patient, body)
        rows["exam"].append((seq, patient, study, f"{study}.1", day, "CT"))
        rows["assessment"].append(
            (seq, seq, digest, f"{day}T10:00:00+00:00", "0.1.0", "made", "{}", "non-contrast", int(has_lesion),
             int(has_lesion), 0, 2, mass + 0.5, mass - 0.5, mass + 1.5, None, 50.5, 40.5, 60.5, None)
        )  # fmt: skip
        if has_lesion:
            if k == 0:
                rows["lesion"].append((lesion, patient, f"focus-{number % 10**8:08d}", seq, None))
            rows["sighting"].append(
                (seq, 1, lesion, "calcification", "certain", "VI", "punctate", mass + 0.5, mass - 0.5, mass + 1.5, None,
                 50.5, 40.5, 60.5, None, 5.5, 4.5, 6.5, None, 1.5, 2.5, 3.5)
            )  # fmt: skip
        if with_plan:
            if plan_before is not None:
                rows["plan"][-1] = (*rows["plan"][-1][:4], "superseded", *rows["plan"][-1][5:])
                rows["step"][-1] = (*rows["step"][-1][:10], "done", seq, day, "unchanged")
            rows["plan"].append((seq, patient, seq, day, "current", "made", STOP_DIGEST, "[]"))
            if steps:
                rows["step"].append(
                    (seq, 1, patient, _STEPS[choice].rule, _STEPS[choice].urgency, *window, _EVERY, False,
                     DIGESTS[choice], "open", None, None, None)
                )  # fmt: skip
            plan_before = seq
    return state, STOP_DIGEST if state == "finished" else None, seq


def _quoted(text_: str) -> str:
    return f'"{text_}"'


def _window(rng: random.Random) -> tuple[date, date]:
    """Return the window of an open step."""
    drawn = rng.random()
    for share, low, high in _WINDOWS:
        if drawn < share:
            day = TODAY + timedelta(days=rng.randint(low, high))
            if high <= 0 or low < 0 < high:
                last = day if high <= 0 else TODAY + timedelta(days=rng.randint(0, 90))
                return min(last, TODAY) - timedelta(days=180), last
            return day, day + timedelta(days=180)
    raise AssertionError("the shares end with 1")


def make_sqlite(path: Path) -> Callable[[Rows], None]:
    """Make an empty registry in a file and return what writes rows into it; call it with nothing to end."""
    open_database(path, create=True).close()
    file = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode=off", "synchronous=off", "foreign_keys=off", "cache_size=-400000"):
        file.execute(f"pragma {setting}")
    file.execute("begin")
    file.executemany("insert into wording values (?, ?)", [*zip(DIGESTS, TEXTS, strict=True), (STOP_DIGEST, STOP)])
    lines = {one.name: f"insert into {one.name} values ({', '.join('?' * len(one.columns))})" for one in TABLES}

    def write(rows: Rows) -> None:
        for name, held in rows.items():
            file.executemany(lines[name], held)
        if not rows:
            file.execute("commit")
            file.execute("analyze")
            file.execute("pragma journal_mode=wal")
            file.close()

    return write


def make_postgresql(url: str) -> Callable[[Rows], None]:
    """Make an empty registry in PostgreSQL and return what writes rows into it; call it with nothing to end."""
    open_database(url, create=True).close()
    engine = create_engine(make_url(url).set(drivername="postgresql+pg8000"), isolation_level="AUTOCOMMIT")
    connection = engine.connect()
    # pointers and the log's own guard are looked at by `registry check` afterwards, not row by row here
    connection.execute(text("set session_replication_role = replica"))
    connection.execute(text("set synchronous_commit = off"))
    wordings = [{"d": d, "b": b} for d, b in [*zip(DIGESTS, TEXTS, strict=True), (STOP_DIGEST, STOP)]]
    connection.execute(text("insert into wording values (:d, :b)"), wordings)
    cursor = connection.connection.cursor()

    def write(rows: Rows) -> None:
        for name, held in rows.items():
            if held:
                lines = "".join("\t".join(map(_copied, row)) + "\n" for row in held)
                cursor.execute(f"copy {name} from stdin", stream=io.BytesIO(lines.encode()))
        if not rows:
            connection.execute(text("vacuum analyze"))
            connection.close()
            engine.dispose()

    return write


def _copied(value: Any) -> str:
    """A value as COPY reads it; no generated text holds a tab, a line end or a backslash."""
    return "\\N" if value is None else str(value)
