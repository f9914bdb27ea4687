"""What is set for a whole service of an account: its rules of cross-origin sharing, its version.

The rules are those of "Cross-Origin Resource Sharing (CORS) support for Azure Storage": the first
rule that fits decides, and names of headers are compared without regard to case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CorsRule:
    """Who may ask from a page of another origin, and how.

    Arguments:
        origins: `*`, origins, or origins with `*` for a subdomain (`https://*.contoso.com`).
        methods: HTTP verbs.
        headers: `*`, names of request headers, or beginnings of names with `*` behind.
        exposed: the same for headers of answers that the page may read.
        max_age: seconds a browser may remember the answer to a preflight.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    _: KW_ONLY
    max_age: int

    @property
    def for_all(self) -> bool:
        """Whether every origin is allowed."""
        return "*" in self.origins

    def fits(self, origin: str, method: str, headers: Iterable[str] = ()) -> bool:
        """Whether a request is allowed."""
        return (
            (self.for_all or any(_is_origin(origin, each) for each in self.origins))
            and method in self.methods
            and all(self._takes(name.lower()) for name in headers)
        )

    def _takes(self, name: str) -> bool:
        return any(
            name.startswith(each[:-1]) if each.endswith("*") else name == each
            for each in map(str.lower, self.headers)
        )


def _is_origin(origin: str, allowed: str) -> bool:
    scheme, star, domain = allowed.partition("*")
    if not star:
        return origin == allowed
    middle = origin.removeprefix(scheme).removesuffix(domain)
    return len(scheme) + len(middle) + len(domain) == len(origin) and bool(middle)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What is set for a service.

    Arguments:
        cors: the rules, in the order in which they are tried.
        version: of the protocol, for requests that name none; empty for the latest.
    """

    cors: tuple[CorsRule, ...] = ()
    version: str = ""

    def rule(self, origin: str, method: str, headers: Iterable[str] = ()) -> CorsRule | None:
        """The first rule that allows a request; None when none does."""
        names = tuple(headers)
        return next((rule for rule in self.cors if rule.fits(origin, method, names)), None)

    def to_json(self) -> dict[str, Any]:
        """The members by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> "ServiceSettings":
        """The inverse of `to_json`."""
        names = ("origins", "methods", "headers", "exposed")
        rules = tuple(
            CorsRule(*(tuple(rule[name]) for name in names), max_age=rule["max_age"])
            for rule in members.get("cors", ())
        )
        return cls(rules, members.get("version", ""))
