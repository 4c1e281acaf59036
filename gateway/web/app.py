"""The HTTP surface for machines: `/metrics`, `/livez`, `/readyz`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


def build_app(
    *, registry: CollectorRegistry, version: str, not_ready: Callable[[], list[str]]
) -> FastAPI:
    """The application. `not_ready` names what keeps the gateway from taking instances in."""
    # No interactive documentation: it would load scripts from elsewhere.
    app = FastAPI(title="Tollgate", version=version, docs_url=None, redoc_url=None)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/livez")
    def livez() -> dict[str, str]:
        """200 while the process runs; restarting it would not help anything that is down."""
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """200 while instances are taken in, 503 with the reasons while not."""
        reasons = not_ready()
        content = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return JSONResponse(content, status_code=503 if reasons else 200)

    return app
