# SPDX-License-Identifier: GPL-2.0-or-later
"""carreld's admin API, played by the test: for what `carrel` does while the answers change."""
import http.server
import json
import os
import socketserver
import threading


class Admin(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """`answers` maps "METHOD /path" to a list of (status, object); each request takes the first
    one, the last one stays. What was asked is in `asked`, as (request, body)."""
    daemon_threads = True

    def __init__(self, path, answers):
        self.path = str(path)
        self.answers = {request: list(states) for request, states in answers.items()}
        self.asked = []
        self.lock = threading.Lock()
        super().__init__(self.path, Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, request, body):
        with self.lock:
            self.asked.append((request, body))
            states = self.answers[request]
            return states.pop(0) if len(states) > 1 else states[0]

    def close(self):
        self.shutdown()
        self.server_close()
        os.unlink(self.path)


class Handler(http.server.BaseHTTPRequestHandler):
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self.server.answer("%s %s" % (self.command, self.path),
                                            json.loads(body) if body else None)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = handle_any

    def address_string(self):
        return "carrel"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass
