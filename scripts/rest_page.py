"""Print ``docs/reference/rest.md``: the routes of the server, made from its OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

INTRO = """# REST

The whole of it is at `/api/openapi.json` of a running server (OpenAPI 3.1). Send an API token (Account, *New token*) as
`Authorization: Bearer hc_...`. Errors are problem documents (RFC 9457) with a `code` of [errors](errors.md) and a
`hint`; codes that begin with `SRV` are the server's own. Requests that queue
work answer 202 with a `job_id`. [How to serve](../howto/serve.md).

<!-- not run: needs a server -->
```sh
curl -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(uuidgen)" -F files=@study.zip "$SERVER"/api/uploads
curl -N -H "Authorization: Bearer $TOKEN" "$SERVER"/api/jobs/JOB/events
```

| SRV | HTTP | what |
|---|---|---|
"""


def page() -> str:
    """Return the text of the page."""
    from hepacalc import errors
    from hepacalc.server import faults
    from hepacalc.server.app import documented_app

    out = [INTRO]
    kinds = [getattr(module, name) for module in (errors, faults) for name in module.__all__]
    leaves = [kind for kind in kinds if errors.ServerError in getattr(kind, "__bases__", ())]
    for kind in sorted(leaves, key=lambda kind: str(kind.code)):
        status = errors.STATUS.get(kind.code) or errors.STATUS["SRV"]
        out.append(f"| {kind.code} | {status.http} | {kind.__doc__.splitlines()[0]} |\n")
    schema = documented_app().openapi()
    groups: dict[str, list[tuple[str, str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            groups.setdefault((told.get("tags") or ["other"])[0], []).append((method.upper(), path, told))
    for group, routes in groups.items():
        out.append(f"\n## {group.capitalize()}\n\n| | | |\n|---|---|---|\n")
        for method, path, told in routes:
            text = re.sub(r"\s+", " ", str(told.get("description") or told.get("summary") or "")).replace("|", "\\|")
            out.append(f"| {method} | `{path}` | {text.replace('``', '`')} |\n")
    return "".join(out)


if __name__ == "__main__":
    print(page(), end="")
