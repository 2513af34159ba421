"""Whatever the OpenAPI document allows is answered without a fault of the server."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from hepacalc.server.accounts import add_token
from server_help import Running


@pytest.mark.slow
def test_no_request_of_the_schema_makes_a_fault(house: Running):
    if find_spec("schemathesis") is None:
        pytest.skip("needs schemathesis, of the extra test")
    client = house.client("boss")
    user = next(u["id"] for u in client.get("/api/users").json()["users"] if u["name"] == "anna")
    token = add_token(house.site.engine, user, "schema", ("assess",), 3600)[1]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{house.base}/api/openapi.json", "--header",
         f"Authorization: Bearer {token}", "--checks", "not_a_server_error", "--max-examples", "6", "--seed", "1",
         "--exclude-path-regex", "events$", "--no-color", "--phases", "examples,coverage,fuzzing",
         "--request-timeout", "30"],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
