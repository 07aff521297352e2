"""The static files, under an address that names their contents."""

from __future__ import annotations

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class VersionedFiles(StaticFiles):
    """Serves ``static/``; the version in the address changes with the files, so they keep."""

    def __init__(self) -> None:
        super().__init__(packages=[("otelbridge.web", "static")])

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer one file, to be kept by the browser for a year."""
        answer = await super().get_response(path, scope)
        if answer.status_code == 200:
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
