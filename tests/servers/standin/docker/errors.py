"""The exceptions that ministack tells apart."""


class DockerException(Exception):
    """Base of all."""


class APIError(DockerException):
    """The daemon refused."""


class NotFound(APIError):
    """No such container."""


class ImageNotFound(NotFound):
    """No such image."""
