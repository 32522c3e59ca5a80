"""A real SMTP server and a real HTTP endpoint on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from tests.servers import free_port


class Mailbox:
    """What an SMTP server was given."""

    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # the library's name
        self.messages.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


class SmtpServer:
    def __init__(self):
        self.mailbox = Mailbox()
        self._controller = Controller(self.mailbox, hostname="127.0.0.1", port=free_port())
        self._controller.start()

    @property
    def url(self):
        port = self._controller.port
        return f"mailto://127.0.0.1:{port}?from=quantrac@station.example&to=officer@office.example&mode=insecure"

    def stop(self):
        self._controller.stop()


class HttpServer:
    """Takes JSON; answers with ``status``."""

    def __init__(self):
        self.bodies = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.status == 200:
                    outer.bodies.append(json.loads(body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"json://127.0.0.1:{self._server.server_port}/hook"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
