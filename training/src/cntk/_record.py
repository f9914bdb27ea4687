"""Records: dictionaries whose entries are attributes too."""

from typing import Any, final


@final
class Record(dict[str, Any]):
    """Named values: `record.loss` is `record["loss"]`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            message = f"record has no attribute '{name}'"
            raise AttributeError(message) from None

    def __setattr__(self, name: str, value: Any) -> None:
        message = "record is immutable"
        raise AttributeError(message)

    def updated_with(self, **values: Any) -> "Record":
        """Return a record with more or other values."""
        return Record({**self, **values})
