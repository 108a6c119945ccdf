"""Release 1.0 of the service."""

VERSION = "1.0"


def healthy():
    return True
