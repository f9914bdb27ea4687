"""Foreign clients, unmodified, against storage alone; run by `nox -s interop`."""
