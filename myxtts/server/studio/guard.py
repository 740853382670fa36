"""Access control: only a browser that has the token, from the page itself, under the address of this machine.

A web page elsewhere can send requests to 127.0.0.1, and with DNS rebinding even read the answers. It has no token, its
requests carry another `Origin`, and after rebinding another `Host`.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myxtts.server.app import error_response, has_token
from myxtts.server.speech_request import ApiError
from myxtts.storage.files import read_regular_file, write_bytes_atomic

COOKIE = "myxtts_studio"
HOST_NAMES = ("127.0.0.1", "localhost", "[::1]")
_SHORTEST_TOKEN = 32
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data:; "
    "frame-ancestors 'self'; sandbox allow-scripts"
)
"""The report contains its own style and script; in a sandbox it cannot access the page."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOCKED = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>MyXTTS studio</title><h1>MyXTTS studio</h1>"
    "<p>Open the address that <code>myxtts studio</code> printed: it has the key of this page.</p></html>"
)


def token_of(folder: Path) -> str:
    """The token of a folder, made at its first use; a page that stays open remains valid. Raises StorageError."""
    path = folder / "token"
    with contextlib.suppress(OSError, ValueError, UnicodeDecodeError):
        token = read_regular_file(path, 200).decode("ascii").strip()
        if len(token) >= _SHORTEST_TOKEN and token.isprintable():
            return token
    token = secrets.token_urlsafe(32)
    write_bytes_atomic(path, token.encode("ascii"))
    path.chmod(0o600)
    return token


class StudioGuard:
    """Middleware: rejects requests that do not come from the page, and adds security headers."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._answer(Request(scope)) or self._app
        await app(scope, receive, with_headers)

    def _answer(self, request: Request) -> Response | None:
        """The reply to a rejected request; None for an accepted one."""
        headers = request.headers
        host = headers.get("host", "")
        if host.rpartition(":")[0] not in HOST_NAMES and host not in HOST_NAMES:
            return error_response(ApiError(403, "this page is only served under 127.0.0.1 and localhost"))
        if request.url.path == "/health":
            return None
        opens = request.method == "GET" and request.url.path == "/"
        if opens and "token" in request.query_params:
            if self._is_token(request.query_params["token"]):
                reply = RedirectResponse("/", 303)
                reply.set_cookie(COOKIE, self._token, max_age=400 * 86_400, httponly=True, samesite="strict")
                return reply
            return HTMLResponse(_LOCKED, 401)
        if headers.get("sec-fetch-site") == "cross-site" and not opens:
            return error_response(ApiError(403, "another web page sent this request"))
        if has_token(headers, self._token):
            return None
        if not self._is_token(_cookie(headers)):
            if opens:
                return HTMLResponse(_LOCKED, 401)
            return error_response(
                ApiError(401, "open the address that `myxtts studio` printed", code="invalid_api_key")
            )
        if request.method not in ("GET", "HEAD") and headers.get("origin") != f"http://{host}":
            return error_response(ApiError(403, "another web page sent this request"))
        return None

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token.encode("ascii"))


def _cookie(headers: Headers) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""
