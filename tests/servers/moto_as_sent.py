"""moto_as_sent.py: moto_server, with one thing put right for those who enforce rights. It checks the signature of a call
over the body as Python would have written it ("+" for a space), and so takes only Python's; here it is the body as it
was sent ("%20").
"""

import io
import sys

from moto.core.responses import BaseResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main

SENT = "runbook.sent"
dispatch, setup_class = DomainDispatcherApplication.__call__, BaseResponse.setup_class


def keeping(self, environ, start_response):
    if length := int(environ.get("CONTENT_LENGTH") or 0):
        environ[SENT] = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(environ[SENT])
    return dispatch(self, environ, start_response)


def as_sent(self, request, *arguments, **named):
    setup_class(self, request, *arguments, **named)
    self.raw_body = request.environ.get(SENT, b"")


DomainDispatcherApplication.__call__ = keeping
BaseResponse.setup_class = as_sent
sys.exit(main())
