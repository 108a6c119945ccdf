"""Release 2.0 of the service."""

VERSION = "2.0"


def healthy():
    return True
