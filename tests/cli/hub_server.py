"""A Hub on the loopback: the part of its HTTP interface that a download asks for, with the Hub's own refusals."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUGE = 100_000  # bytes from which a file's transfer can be made to break
LARGE = 1000  # bytes from which a file is stored apart and named by its SHA-256, as Git LFS and Xet do


@dataclass
class Repo:
    """Files by name, and who may read them."""

    files: dict[str, bytes]
    gated: bool = False
    revisions: tuple[str, ...] = ("main", COMMIT)


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Hub:
    """What the server holds, what it is asked, and how it is to misbehave.

    Attributes:
        url: its address.
        repos: by name.
        member: the token that gated repositories let in.
        asked: every request, in order.
        cut: bytes after which the connection breaks, for each of the next transfers of a huge file.
        pause: with an event here, the transfer of a huge file waits for it after a quarter of its bytes.
        no_range: whether a request for a part is answered with the whole.
        damaged: whether large files come with other bytes than announced.
        stumbles: statuses with which the next requests for the content of a large file are answered.
        bare: whether the list of files has neither sizes nor digests, as some mirrors'.
        broken: a status that every request is answered with.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    member: str = "hf_member"
    asked: list[Asked] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    pause: threading.Event | None = None
    no_range: bool = False
    damaged: bool = False
    stumbles: list[int] = field(default_factory=list)
    bare: bool = False
    broken: int | None = None

    def transfers(self, name: str) -> list[Asked]:
        """Return the requests for the content of a large file."""
        digests = {hashlib.sha256(repo.files[name]).hexdigest() for repo in self.repos.values() if name in repo.files}
        return [one for one in self.asked if one.method == "GET" and one.path.removeprefix("/store/") in digests]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Let the hub work on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Print nothing."""

        def do_GET(self) -> None:
            _answer(hub, self, body=True)

        def do_HEAD(self) -> None:
            _answer(hub, self, body=False)

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Print nothing where a client leaves early."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False  # a client may hold its connection open
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        if hub.pause is not None:
            hub.pause.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(hub: Hub, request: BaseHTTPRequestHandler, *, body: bool) -> None:
    path = unquote(urlsplit(request.path).path)
    token = (request.headers.get("Authorization") or "").removeprefix("Bearer ") or None
    hub.asked.append(Asked(request.command, path, request.headers.get("Range"), token))
    if hub.broken is not None:
        return _refuse(request, hub.broken, "")
    if stored := re.fullmatch(r"/store/([0-9a-f]{64})", path):
        if hub.stumbles:
            return _refuse(request, hub.stumbles.pop(0), "")
        return _send_stored(hub, request, stored[1])
    asked = re.fullmatch(r"/api/models/(?P<repo>.+?)(?:/revision/(?P<rev>.+))?", path) or re.fullmatch(
        r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<file>.+)", path
    )
    if asked is None or asked["repo"] not in hub.repos:  # the Hub tells strangers 401, so as not to say what exists
        return _refuse(request, 404 if token else 401, "RepoNotFound")
    repo, file = hub.repos[asked["repo"]], asked.groupdict().get("file")
    if (asked["rev"] or "main") not in repo.revisions:
        return _refuse(request, 404, "RevisionNotFound")
    if file is None:
        return _send(request, 200, {"Content-Type": "application/json"}, _listing(hub, asked["repo"]), body=body)
    if repo.gated and token != hub.member:
        return _refuse(request, 403 if token else 401, "GatedRepo")
    if file not in repo.files:
        return _refuse(request, 404, "EntryNotFound")
    content = repo.files[file]
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_git_digest(content)}"'}
    if len(content) < LARGE:
        return _send(request, 200, headers, content, body=body)
    digest = hashlib.sha256(content).hexdigest()
    elsewhere = hub.url.replace("127.0.0.1", "localhost")  # another host, as the Hub's store of large files is
    headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
    return _send(request, 302, {**headers, "Location": f"{elsewhere}/store/{digest}"}, b"", body=body)


def _listing(hub: Hub, name: str) -> bytes:
    siblings: list[dict[str, object]] = []
    for file, content in hub.repos[name].files.items():
        said: dict[str, object] = {"rfilename": file}
        if not hub.bare:
            said |= {"size": len(content), "blobId": _git_digest(content)}
        if not hub.bare and len(content) >= LARGE:
            digest = hashlib.sha256(content).hexdigest()
            said["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
        siblings.append(said)
    return json.dumps({"id": name, "sha": COMMIT, "gated": hub.repos[name].gated, "siblings": siblings}).encode()


def _git_digest(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _send_stored(hub: Hub, request: BaseHTTPRequestHandler, digest: str) -> None:
    """A large file, or the rest of it; the connection breaks where the hub says so."""
    contents = [content for repo in hub.repos.values() for content in repo.files.values()]
    content = next(one for one in contents if hashlib.sha256(one).hexdigest() == digest)
    if hub.damaged:
        content = bytes(len(content))
    begun = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
    start = int(begun[1]) if begun and not hub.no_range else 0
    request.send_response(206 if start else 200)
    request.send_header("Content-Length", str(len(content) - start))
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    request.end_headers()
    rest = content[start:]
    if len(content) < HUGE:
        request.wfile.write(rest)
        return
    if hub.pause is not None:
        request.wfile.write(rest[: len(rest) // 4])
        request.wfile.flush()
        hub.pause.wait()
        request.close_connection = True
        return
    if hub.cut:
        rest = rest[: hub.cut.pop(0)]
        request.close_connection = True
    request.wfile.write(rest)


def _send(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes, *, body: bool) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    if body:
        request.wfile.write(content)


def _refuse(request: BaseHTTPRequestHandler, status: int, code: str) -> None:
    _send(request, status, {"X-Error-Code": code} if code else {}, b"", body=False)
