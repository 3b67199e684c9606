"""The verification page over HTTP: the page itself, clips, ratings and progress."""

from __future__ import annotations

import errno
import socket
from importlib.resources import files
from typing import Annotated, Any

try:
    import uvicorn
    from fastapi import Body, Depends, FastAPI, Header, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import FileResponse, JSONResponse, Response
    from fastapi.staticfiles import StaticFiles
except ImportError as error:
    raise ImportError("The verification page needs more packages: pip install la4vla[verify].") from error

from la4vla.construction.verification.desk import Desk

PAGE = files("la4vla.construction.verification") / "page"
# The page needs nothing from anywhere else, and must not get it.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def application(desk: Desk) -> FastAPI:
    """The application that serves ``desk``. Every answer that is an error holds one sentence, under ``error``."""
    app = FastAPI(title="la4vla verification", docs_url=None, redoc_url=None, openapi_url=None)

    def signed_in(authorization: Annotated[str, Header()] = "") -> str:
        return desk.annotator(authorization.removeprefix("Bearer "))

    annotator = Depends(signed_in)

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(str(PAGE / "index.html"))

    @app.post("/api/session")
    def session(name: Annotated[str, Body()], token: Annotated[str, Body()]) -> dict[str, Any]:
        desk.sign_in(name, token)
        return desk.facts(name)

    @app.get("/api/clips/{key}")
    def clip(key: str, name: str = annotator) -> dict[str, Any]:
        found = desk.clip(key)
        return {**found.to_json(), "sizes": {c: [len(j) for j in found.jpegs(c)] for c in desk.footage.cameras}}

    @app.get("/api/clips/{key}/{camera}")
    def frames(key: str, camera: str, name: str = annotator) -> Response:
        if camera not in desk.footage.cameras:
            raise LookupError(f"There is no camera {camera!r}; there are {', '.join(desk.footage.cameras)}.")
        return Response(b"".join(desk.clip(key).jpegs(camera)), media_type="application/octet-stream")

    @app.post("/api/ratings")
    def rate(
        request: Annotated[str, Body()],
        rating: Annotated[dict[str, Any], Body()],
        replaces: Annotated[str | None, Body()] = None,
        name: str = annotator,
    ) -> dict[str, Any]:
        elsewhere = desk.rate(name, request, rating, replaces)
        return {**desk.progress(), "elsewhere": elsewhere}

    @app.post("/api/withdrawals")
    def withdraw(request: Annotated[str, Body(embed=True)], name: str = annotator) -> dict[str, Any]:
        desk.store.withdraw(request, name)
        return desk.progress()

    @app.get("/api/progress")
    def progress(name: str = annotator) -> dict[str, Any]:
        return desk.progress()

    for kind, status in ((ValueError, 400), (LookupError, 404), (PermissionError, 401)):
        app.add_exception_handler(kind, _sentence(status))
    app.add_exception_handler(RequestValidationError, _misshapen)
    app.mount("/page", StaticFiles(directory=str(PAGE)))
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at ``host`` and ``port``.

    Raises:
        OSError: If the port is taken or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(128)  # whoever follows a link before the server is up waits, instead of being refused
    except OSError as error:
        bound.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror or error})"
        raise OSError(f"Port {port} of {host} {why}; choose another with port=... or host=...") from error
    return bound


def serve(desk: Desk, bound: socket.socket) -> None:
    """Serve ``desk`` at a bound socket until interrupted."""
    config = uvicorn.Config(application(desk), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[bound])


def _sentence(status: int) -> Any:
    def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error.args[0] if error.args else error)}, status)

    return answer


def _misshapen(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"error": f"The request does not fit: {place}: {first['msg']}."}, 400)
