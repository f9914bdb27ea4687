"""What Azurite and this service have in common; see `nox -s azurite`."""
