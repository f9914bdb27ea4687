"""The words of hostile requests: texts that break parsers, names, path segments, documents."""

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    """The words of a text, in which they are as they are."""
    return tuple(text.split("@@"))


def _names(text: str) -> tuple[str, ...]:
    """The words of a text, in which blanks are between them."""
    return tuple(text.split())


TEXTS: Final = (
    *_words(
        """\
@@ @@*@@,@@-@@-1@@0@@1@@+5@@1e9@@NaN@@0x10@@1_0@@ 7 @@\x09@@9999999999999999999@@\
9999999999999999999999999999999999999999@@true@@null@@None@@[]@@{}@@\xb2\xb3@@\xe9\xff@@\xa0@@\
\x85@@\x7f@@\x01@@\x00@@\x0d@@\xe9'\"<&>@@%00@@%n%s@@..@@../../..@@/@@//@@\\@@a;b=c@@\
'; DROP TABLE entries; --@@]]>@@<!--@@bytes=0-@@bytes=-0@@bytes=-5@@bytes=5-1@@bytes=0-0,2-3@@\
bytes=a-b@@octets=0-1@@bytes=0-999999999999999999999999999999@@\
bytes=999999999999999999999999999999-@@bytes=\xb2-\xb3@@bytes=0-4294967295@@\
Mon, 01 Jan 0001 00:00:00 GMT@@Fri, 31 Dec 9999 23:59:59 GMT@@0@@yesterday@@\
Mon, 01 Jan 2024 00:00:00 +9999@@Mon, 01 Jan 2024 00:00:00 -0000@@1 Jan 99999 0:0 GMT@@\
Mon, 01 Jan 2024 00:00:00 +99999999999999999999@@Mon, 01 Jan 2024 99:99:99 GMT@@2024-13-01@@\
0001-01-01T00:00:00Z@@9999-12-31T23:59:59.9999999Z@@2024-01-01T00:00:00.\xb2Z@@\
1601-01-01T00:00:00.0000000Z@@2024-01-01@@2024-01-01T00:00:00+99:00@@preserve@@MQ==@@MQ@@%%%@@\
========@@00000000-0000-0000-0000-000000000000@@2026-10-06@@1999-01-01@@2099-01-01@@\
2015-02-21@@10000-01-01@@Hot@@Archive@@a=1&a=2@@a=1&b@@=@@a=%zz@@a='1' AND b>'2'@@a = '@@AND@@\
\"a\"='1' OR@@@container='x'@@\u202e@@\u0661\u0662@@\U0001f600@@\ud800@@\ufffe@@e\u0301@@\
\u2028"""
    ),
    *("9" * 40, "9" * 5000, "a" * 300, "a" * 9000, "QUFB" * 30),
)

NAMES: Final = _names(
    """range x-ms-range if-match if-none-match if-modified-since if-unmodified-since x-ms-if-tags
    content-md5 x-ms-content-crc64 x-ms-content-md5 content-type content-encoding content-language
    x-ms-blob-type x-ms-type x-ms-blob-content-type x-ms-blob-content-md5 x-ms-content-type
    x-ms-blob-content-length x-ms-content-length x-ms-meta-a x-ms-meta-1a x-ms-meta- x-ms-meta-a-b
    x-ms-meta-\xaa x-ms-lease-id x-ms-lease-action x-ms-lease-duration x-ms-lease-break-period
    x-ms-proposed-lease-id x-ms-tags x-ms-access-tier x-ms-blob-public-access x-ms-share-quota
    x-ms-write x-ms-file-attributes x-ms-file-creation-time x-ms-file-last-write-time
    x-ms-file-change-time x-ms-file-permission x-ms-file-permission-key x-ms-copy-source
    x-ms-source-range x-ms-source-if-match x-ms-blob-condition-maxsize x-ms-requires-sync
    x-ms-blob-condition-appendpos x-ms-version prefer expect x-ms-client-request-id host
    x-ms-range-get-content-md5 origin cookie upgrade connection x-ms-delete-snapshots
    x-ms-encryption-key x-ms-sequence-number-action x-ms-unknown x-ms-date date authorization
    x-ms-file-rename-source x-ms-file-rename-replace-if-exists x-ms-handle-id x-ms-recursive
    x-ms-copy-action x-ms-file-rename-ignore-readonly x-ms-copy-source-authorization
    x-ms-source-content-md5 x-ms-source-lease-id x-ms-copy-source-tag-option
    access-control-request-method access-control-request-headers x-ms-file-copy-mode"""
)

PARAMETERS: Final = _names(
    """comp restype blockid blocklisttype prefix delimiter marker maxresults include where snapshot
    timeout startfrom sharesnapshot prevsnapshot versionid sv sig se sp sr rscd rsct api-version
    showonly account copyid unknown"""
)
VALUES: Final = _names(
    """list metadata properties acl lease tags tier block blocklist appendblock seal range rangelist
    copy rename batch blobs account container share directory snapshot undelete page query expiry
    stats listhandles forceclosehandles hardlink symboliclink userdelegationkey"""
)

SEGMENTS: Final = (
    *_words(
        """\
..@@.@@%2e%2e@@%2E%2e/%2e%2e@@..%2f..%2fetc%2fpasswd@@%00@@a%00b@@%0a@@%0d%0aX:y@@%@@%zz@@\
%u0041@@%c0%ae%c0%ae@@%ff@@%ed%a0%80@@%F0%9F%98%80@@+@@%2b@@%20@@%5c..@@..\\..@@C:%5cx@@CON@@\
a.@@a%20@@~@@$root@@$web@@-@@a:b@@a*b@@%3c@@%7f@@//@@/@@;a=b@@%3f@@%23@@\xe9@@\xff@@|@@^@@{@@\
a%2fb@@%2f@@staging@@storage.db@@etc/passwd@@proc/self/environ@@dir/f/below@@a/below"""
    ),
    *("x" * 255, "x" * 256, "%e4" * 90, "%25" + "25" * 126 + "00", "y/" * 200, "z" * 5000),
    "/".join(["d" * 100] * 11),
)

DOCUMENTS: Final = (
    b"",
    b"<",
    b"\x00\xff",
    b"<a/>" * 3,
    b"<BlockList>" * 5000,
    b"<BlockList><Latest>" + b"x" * 200_000 + b"</Latest></BlockList>",
    b"<BlockList>" + b"<Latest>MQ==</Latest>" * 60_000 + b"</BlockList>",
    b"<BlockList>" + b"<x/>" * 100_000 + b"</BlockList>",
    b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><BlockList>&b;</BlockList>',
    b'<!DOCTYPE l SYSTEM "file:///etc/passwd"><Tags/>',
    b'<?xml version="1.0" encoding="utf-16"?><BlockList/>',
    b'<?xml version="1.0" encoding="klingon"?><BlockList/>',
    b'<?xml version="1.0" encoding="utf-7"?><BlockList>+AAAA</BlockList>',
    '<?xml version="1.0"?><BlockList><Latest>MQ==</Latest></BlockList>'.encode("utf-16"),
    b"\xef\xbb\xbf<BlockList></BlockList>",
    b"<BlockList><Latest>&#0;</Latest></BlockList>",
    b"<BlockList><Latest>\xed\xa0\x80</Latest></BlockList>",
    b"<Tags><TagSet><Tag><Key>a</Key></Tag><Tag><Key>a</Key></Tag></TagSet></Tags>",
    b"<Tags><TagSet>" + b"<Tag><Key>k</Key><Value>v</Value></Tag>" * 50 + b"</TagSet></Tags>",
    b"<SignedIdentifiers>" + b"<SignedIdentifier/>" * 9 + b"</SignedIdentifiers>",
    b"<SignedIdentifiers><SignedIdentifier><Id>\xc2\x85</Id></SignedIdentifier></SignedIdentifiers>",
    b"<x:BlockList xmlns:x='y'/>",
    b"--b\r\n",
    b"--b--",
    b"--b\r\nContent-Type: application/http\r\n\r\nDELETE /../../x HTTP/1.1\r\n\r\n\r\n--b--",
    b"--b\r\nContent-Type: application/http\r\nContent-ID: \xff\r\n\r\nGET / HTTP/1.1\r\n\r\n--b--",
    b"--b\r\nContent-Type: application/http\r\n\r\nPUT /x HTTP/1.1\r\nContent-Length: 1\r\n--b--",
    b"--b\r\nContent-Type: application/http\r\n\r\n" * 300 + b"--b--",
)

FRAMES: Final = _names(
    """truncated-head truncated-body no-length short-length long-length huge-length negative-length
    double-length signed-length chunked chunked-bad chunked-both chunked-cut bare-lf huge-header
    many-headers http10 http2 absolute garbage pipelined folded no-host two-hosts"""
)
