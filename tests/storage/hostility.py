"""Requests nobody should send: honest ones, bent in some ways, most of them rightly signed."""

import base64
import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from tests.storage.vocabulary import (
    DOCUMENTS,
    FRAMES,
    NAMES,
    PARAMETERS,
    SEGMENTS,
    TEXTS,
    VALUES,
)

ACCOUNT: Final = "mystorage"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request.

    Arguments:
        method: the verb.
        path: as it is sent.
        query: names and values, not percent-encoded.
        headers: names and values, in order.
        body: what is sent behind them.
        sign: how it is signed: by `key`, `lite`, `sas`, `wrong`, `stale`, `none`.
        frame: what is done to the bytes at last; a key of `FRAMES`.
        bent: what was done to it, for the report of a fault.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = ()
    body: bytes = b""
    sign: str = "key"
    frame: str = "plain"
    bent: tuple[str, ...] = field(default=())


def _lines(text: str) -> tuple[Hostile, ...]:
    """Requests from lines of `VERB PATH?QUERY HEADER=VALUE ... | BODY`."""
    found = []
    for line in text.strip().splitlines():
        head, _, body = line.strip().partition(" | ")
        method, target, *headers = head.split()
        path, _, query = target.partition("?")
        pairs = tuple(
            (name, value) for name, _, value in (p.partition("=") for p in query.split("&") if p)
        )
        fields = tuple((name, value) for name, _, value in (h.partition("=") for h in headers))
        found.append(Hostile(method, path, pairs, fields, body.encode()))
    return tuple(found)


HONEST: Final = _lines(Path(__file__).with_name("honest.txt").read_text())


def _found() -> tuple[Hostile, ...]:
    """Requests that this service once failed at."""
    long, late = "9" * 5000, "9999-12-31T23:59:59Z"
    data, logs = f"/blob/{ACCOUNT}/data", f"/file/{ACCOUNT}/logs"
    lease, tags = ("comp", "lease"), (("comp", "blobs"), ("where", "a='1'"))
    acquire = ("x-ms-lease-action", "acquire")
    listing = (("restype", "container"), ("comp", "list"))
    create = (("x-ms-type", "file"), ("x-ms-content-length", "1"))
    put = (("x-ms-blob-type", "BlockBlob"),)
    asked = (
        ("PUT", f"{data}/a", (lease,), (acquire, ("x-ms-lease-duration", long))),
        ("GET", f"{data}/a", (), (("x-ms-range", f"bytes=0-{long}"),)),
        ("PUT", f"{logs}/new", (), (*create[:1], ("x-ms-content-length", long))),
        ("GET", data, (*listing, ("maxresults", long)), ()),
        ("GET", data, (*listing, ("prefix", "\x01")), ()),
        ("GET", data, (("restype", "container"), ("comp", "\ufffe")), ()),
        ("GET", f"/blob/{ACCOUNT}", (*tags, ("marker", "undelete")), ()),
        ("PUT", f"{data}/%25{'25' * 126}00", (), put),
        ("PUT", f"{data}/a", (("comp", "metadata"),), (("x-ms-meta-\xaa", "b"),)),
        ("PUT", f"{logs}/new", (), (*create, ("x-ms-file-last-write-time", late))),
        ("GET", f"{data}/a", (), (("if-modified-since", "Mon, 1 Jan 2024 0:0 +" + "9" * 20),)),
    )
    return tuple(Hostile(method, path, query, headers) for method, path, query, headers in asked)


FOUND: Final = _found()


def generate(seed: int) -> Hostile:
    """The request of a number: the same one for the same number."""
    chance = random.Random(seed)
    honest = chance.choice(HONEST)
    request = replace(honest, path=honest.path.replace("/A", f"/{ACCOUNT}", 1))
    if request.body == b"BATCH":
        request = replace(request, body=_batch(chance))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3))):
        bend = chance.choice(BENDS)
        request = bend(request, chance)
        request = replace(request, bent=(*request.bent, bend.__name__))
    if request.method == "DELETE" and honest.method != "DELETE" and "/new" not in request.path:
        request = replace(request, method="GET")  # the others need something to ask for
    return replace(
        request,
        sign=chance.choices(
            ("key", "lite", "sas", "wrong", "stale", "none", "other-sas", "more-sas"),
            (60, 8, 14, 4, 3, 5, 3, 3),
        )[0],
        frame="plain" if chance.random() < 0.85 else chance.choice(FRAMES),
    )


def _batch(chance: random.Random) -> bytes:
    parts = []
    for index in range(chance.randint(1, 4)):
        target = chance.choice(
            ("/data/new", "/mystorage/data/b", "/blob/mystorage/data/x", "/data")
        )
        head = f"DELETE {target} HTTP/1.1\r\nx-ms-date: {formatdate(usegmt=True)}\r\n"
        parts.append(
            f"--b\r\nContent-Type: application/http\r\nContent-ID: {index}\r\n\r\n{head}\r\n\r\n"
        )
    return "".join(parts).encode() + b"--b--\r\n"


def _header(request: Hostile, chance: random.Random) -> Hostile:
    header = (chance.choice(NAMES), chance.choice(TEXTS))
    return replace(request, headers=(*request.headers, header))


def _value(request: Hostile, chance: random.Random) -> Hostile:
    if not request.headers:
        return _header(request, chance)
    index = chance.randrange(len(request.headers))
    fields = list(request.headers)
    fields[index] = (fields[index][0], chance.choice(TEXTS))
    return replace(request, headers=tuple(fields))


def _repeat(request: Hostile, chance: random.Random) -> Hostile:
    again = chance.choice(request.headers) if request.headers else ("x-ms-meta-a", "again")
    return replace(request, headers=(*request.headers, again))


def _parameter(request: Hostile, chance: random.Random) -> Hostile:
    pair = (chance.choice(PARAMETERS), chance.choice((*TEXTS, *VALUES)))
    return replace(request, query=(*request.query, pair))


def _other_parameter(request: Hostile, chance: random.Random) -> Hostile:
    if not request.query:
        return _parameter(request, chance)
    pairs = list(request.query)
    index = chance.randrange(len(pairs))
    pairs[index] = (pairs[index][0], chance.choice((*TEXTS, *VALUES)))
    return replace(request, query=tuple(pairs))


def _fewer(request: Hostile, chance: random.Random) -> Hostile:
    if chance.random() < 0.5 and request.query:
        gone = chance.choice(request.query)
        return replace(request, query=tuple(each for each in request.query if each != gone))
    gone = chance.choice(request.headers) if request.headers else ("", "")
    return replace(request, headers=tuple(each for each in request.headers if each != gone))


def _path(request: Hostile, chance: random.Random) -> Hostile:
    parts = request.path.split("/")
    index = chance.randint(1, len(parts))
    parts[index : index + chance.randint(0, 1)] = [chance.choice(SEGMENTS)]
    return replace(request, path="/".join(parts))


def _method(request: Hostile, chance: random.Random) -> Hostile:
    verbs = (
        "GET",
        "HEAD",
        "PUT",
        "POST",
        "DELETE",
        "PATCH",
        "TRACE",
        "CONNECT",
        "BREW",
        "get",
        "P\xe4",
    )
    return replace(request, method=chance.choice(verbs))


def _body(request: Hostile, chance: random.Random) -> Hostile:
    random_bytes = chance.randbytes(chance.choice((1, 100, 5000, 300_000)))
    return replace(request, body=chance.choice((*DOCUMENTS, random_bytes)))


def _cut_body(request: Hostile, chance: random.Random) -> Hostile:
    if not request.body:
        return _body(request, chance)
    start = chance.randrange(len(request.body))
    body = bytearray(request.body)
    body[start : start + chance.randint(0, 9)] = chance.randbytes(chance.randint(0, 3))
    return replace(request, body=bytes(body))


def _sum(request: Hostile, chance: random.Random) -> Hostile:
    md5 = base64.b64encode(chance.randbytes(chance.choice((15, 16)))).decode()
    return replace(request, headers=(*request.headers, ("content-md5", md5)))


BENDS: Final[tuple[Callable[[Hostile, random.Random], Hostile], ...]] = (
    *(_header, _header, _value, _value, _repeat, _parameter, _other_parameter, _fewer),
    *(_path, _path, _method, _body, _cut_body, _sum),
)


def wire(request: Hostile, key: str, port: int, chance: random.Random) -> bytes:
    """The bytes of a request, signed as it says."""
    fields = [("host", f"127.0.0.1:{port}"), ("x-ms-version", "2026-04-06")]
    here = f"http://127.0.0.1:{port}"
    named = [(name, value.replace("HERE", here)) for name, value in request.headers]
    fields += [("x-ms-date", formatdate(usegmt=True)), *named]
    if request.body or request.method in ("PUT", "POST"):
        fields.append(("content-length", str(len(request.body))))
    query = list(request.query)
    if request.sign.endswith("sas"):
        query += _sas(request, key, chance)
    elif request.sign != "none":
        made = _shared_key(request, fields, query, key)
        if request.sign == "wrong":
            made = made[:-6] + "AAAAA="
        if request.sign == "stale":
            query.append(("comp", "metadata"))
        fields.append(("authorization", made))
    target = request.path
    if query:
        # Everything is percent-encoded here, so what is asked arrives; paths are as they are.
        target += "?" + "&".join(
            f"{quote(name)}={quote(value.encode('utf-8', 'surrogatepass'), safe='/')}"
            for name, value in query
        )
    return _framed(request, target, fields, chance)


def _latin(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _framed(
    request: Hostile, target: str, fields: list[tuple[str, str]], chance: random.Random
) -> bytes:
    body, frame, end, version = request.body, request.frame, "\r\n", "HTTP/1.1"
    length = {"short": len(body) // 2, "long": len(body) + 7, "huge": 10**15, "negative": -1}
    kind = frame.partition("-")[0]
    if frame.endswith("-length") or frame.startswith("chunked"):
        fields = [each for each in fields if each[0] != "content-length"]
    if frame.endswith("-length") and kind in length:
        fields.append(("content-length", str(length[kind])))
    if frame == "double-length":
        fields += [("content-length", str(len(body))), ("content-length", str(len(body) + 1))]
    if frame == "signed-length":
        fields.append(("content-length", f"+{len(body)}"))
    if frame.startswith("chunked"):
        fields.append(("transfer-encoding", "chunked"))
        half = len(body) // 2
        pieces = [each for each in (body[:half], body[half:]) if each]
        body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
        if frame == "chunked-both":
            fields.append(("content-length", str(len(request.body))))
        if frame == "chunked-bad":
            body = b"zz\r\n" + body
        if frame == "chunked-cut":
            body = body[: len(body) // 2]
    if frame == "huge-header":
        fields.append(("x-ms-meta-huge", "h" * 200_000))
    if frame == "many-headers":
        fields += [(f"x-ms-meta-m{index}", "v") for index in range(2000)]
    if frame == "no-host":
        fields = [each for each in fields if each[0] != "host"]
    if frame == "two-hosts":
        fields.append(("host", "mystorage.blob.example"))
    if frame == "absolute":
        target = f"http://127.0.0.1{target}"
    if frame == "folded":
        fields.append(("x-ms-meta-folded", "one\r\n two"))
    version = {"http10": "HTTP/1.0", "http2": "HTTP/2.0"}.get(frame, version)
    end = "\n" if frame == "bare-lf" else end
    head = "".join(f"{name}: {value}{end}" for name, value in fields)
    sent = _latin(f"{request.method} {target} {version}{end}{head}{end}") + body
    if frame == "truncated-head":
        return sent[: chance.randrange(1, len(sent) - len(body))]
    if frame == "truncated-body":
        return sent[: len(sent) - len(body) // 2]
    if frame == "garbage":
        return chance.randbytes(chance.randint(1, 3000)) + b"\r\n\r\n"
    return sent * 3 if frame == "pipelined" else sent


_SIGNED: Final = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type"),
    *("-", "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)


def _shared_key(
    request: Hostile, fields: list[tuple[str, str]], query: list[tuple[str, str]], key: str
) -> str:
    joined: dict[str, str] = {}
    for name, value in fields:
        name, value = name.lower(), value.strip()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    asked: dict[str, str] = {}
    for name, value in query:
        name, value = name.lower(), unquote(quote(value.encode("utf-8", "surrogatepass")))
        asked[name] = f"{asked[name]},{value}" if name in asked else value
    canonical = "".join(
        f"{name}:{joined[name]}\n" for name in sorted(joined) if name.startswith("x-ms-")
    )
    resource = f"/{ACCOUNT}{request.path}"
    if request.sign == "lite":
        first = [request.method, joined.get("content-md5", ""), joined.get("content-type", ""), ""]
        resource += f"?comp={asked['comp']}" if "comp" in asked else ""
    else:
        first = [request.method, *(joined.get(name, "") for name in _SIGNED)]
        first[3] = "" if first[3] == "0" else first[3]
        resource += "".join(f"\n{name}:{asked[name]}" for name in sorted(asked))
    text = "\n".join([*first, canonical + resource])
    scheme = "SharedKeyLite" if request.sign == "lite" else "SharedKey"
    return f"{scheme} {ACCOUNT}:{_hmac(key, text)}"


def _sas(request: Hostile, key: str, chance: random.Random) -> list[tuple[str, str]]:
    _, service, _, volume, path = [*request.path.split("/", 4), "", "", "", ""][:5]
    of_file = "b" if service == "blob" else "f"
    fields = {
        "sp": chance.choice(("r", "rw", "rwdl", "racwdlt", "", "zz", "l")),
        "st": chance.choice(("", "", "2020-01-01", "2099-01-01", "bad")),
        "se": chance.choice(("2099-01-01T00:00:00Z",) * 4 + ("2001-01-01", "never", "")),
        "sip": chance.choice(("", "", "", "127.0.0.1", "10.0.0.1-10.0.0.9", "x", "::1")),
        "spr": chance.choice(("", "https", "https,http", "gopher")),
        "sv": chance.choice(("2026-04-06", "2026-04-06", "2019-02-02", "2015-04-05", "1", "")),
    }
    if chance.random() < 0.5:
        fields |= {"ss": chance.choice(("bf", "b", "q")), "srt": chance.choice(("sco", "o", "s"))}
        order = ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv")
        lines = [ACCOUNT, *(fields[name] for name in order)]
        lines += ["", ""] if fields["sv"] >= "2020-12-06" else [""]
    else:
        fields["sr"] = chance.choice((of_file, of_file, "c", "s", "d", ""))
        fields |= {"rscd": chance.choice(TEXTS)} if chance.random() < 0.3 else {}
        named = f"/{service}/{ACCOUNT}/{unquote(volume)}"
        named += f"/{unquote(path)}" if fields["sr"] == of_file else ""
        named += "x" if request.sign == "other-sas" else ""
        lines = [fields["sp"], fields["st"], fields["se"], named, "", fields["sip"], fields["spr"]]
        lines.append(fields["sv"])
        if service == "blob" and fields["sv"] >= "2018-11-09":
            lines += [fields["sr"], ""]
        if service == "blob" and fields["sv"] >= "2020-12-06":
            lines.append("")
        lines += ["", fields.get("rscd", ""), "", "", ""]
    signature = _hmac(key, "\n".join(lines))
    if request.sign == "more-sas":
        fields["sp"] += "wd"
    return [*((name, value) for name, value in fields.items() if value), ("sig", signature)]


def _hmac(key: str, text: str) -> str:
    signed = text.encode("utf-8", "replace")
    return base64.b64encode(hmac.digest(base64.b64decode(key), signed, hashlib.sha256)).decode()
