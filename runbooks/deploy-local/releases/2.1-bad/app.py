"""Release 2.1 of the service: it starts, it answers, and it is not well."""

VERSION = "2.1-bad"


def healthy():
    return False
