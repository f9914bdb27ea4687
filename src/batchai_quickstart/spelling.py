"""How header names are spelt: metadata are named by headers, and keep their capitals.

uvicorn, as most servers do, makes header names lower case in both directions. HTTP allows that;
but `metadata["Owner"]` of Azure's clients is what such a header was called.
"""

from typing import Any, final

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # where there is no httptools uvicorn has another parser, and names lose it
    HTTP: Any = "auto"
else:

    class _Protocol(HttpToolsProtocol):
        """uvicorn's, which also tells the application how names of metadata were spelt."""

        def on_header(self, name: bytes, value: bytes) -> None:
            super().on_header(name, value)
            if name[:10].lower() == b"x-ms-meta-":
                self.headers[-1] = (name, value)

    HTTP = _Protocol
"""What `uvicorn.Config` takes as `http`."""


@final
class Spelt(bytes):
    """The name of a header that is sent as it is: nobody makes it lower case."""

    __slots__ = ()

    def lower(self) -> "Spelt":
        """Itself."""
        return self
