"""The HTTP server on rank 0, and the loop over jobs on every rank.

A driver says `hello`, and from then on the worker is its own until its connection ends: models and gradients of a driver
that died are dropped, and the next may come. A request that takes longer than the driver wants to wait is answered with
202 and what has been done so far; the driver then asks `/wait`.
"""

import hmac
import queue
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .verbs import Worker
from .wire import PROTOCOL, Refused, decode, encode

#: Largest message, in bytes. The driver has the same limit.
BYTES_MAX = 1 << 30

#: Seconds that the rest of a request may keep the server waiting once it has begun.
PATIENCE = 60

#: Longest that a request is kept open before it is answered with 202, in seconds.
WAIT_MAX = 10.0


class Job:
    """A request on its way through the loop."""

    def __init__(self, data):
        self.data, self.answer, self.finished = data, None, threading.Event()
        self.lock, self.news = threading.Lock(), []

    def progress(self, lengths):
        with self.lock:
            self.news += lengths

    def take_news(self):
        with self.lock:
            news, self.news = self.news, []
        return news


class Server(ThreadingHTTPServer):
    """Takes requests of one driver at a time."""

    daemon_threads = True

    def __init__(self, address, token, worker, jobs):
        super().__init__(address, Handler)
        self.token, self.worker, self.jobs = token, worker, jobs
        self.lock, self.session, self.job = threading.Lock(), None, None

    def handle_error(self, request, client_address):
        # A connection that broke: its driver is gone, and `Handler.finish` has seen to that.
        pass

    def hello(self, asked):
        if asked.get("protocol") != PROTOCOL:
            raise Refused("request", f"the worker speaks protocol {PROTOCOL}, the driver {asked.get('protocol')}")
        with self.lock:
            if self.session is not None:
                raise Refused("busy", "another driver uses this worker")
            self.session = secrets.token_hex(16)
        return {"session": self.session, **self.worker.about()}

    def end(self, session):
        """Frees the worker if this session has it."""
        with self.lock:
            if session is None or session != self.session:
                return
            self.job, job = None, Job(encode({"verb": "reset"}))
        self.jobs.put(job)
        job.finished.wait()
        with self.lock:
            self.session = None


class Handler(BaseHTTPRequestHandler):
    """One connection, in a thread of its own."""

    protocol_version = "HTTP/1.1"
    session = None

    def log_message(self, *args):
        pass

    wbufsize, disable_nagle_algorithm = -1, True

    def finish(self):
        try:
            super().finish()
        finally:
            self.server.end(self.session)

    def do_POST(self):
        try:
            status, answer = self.respond()
        except Refused as refused:
            status = {"busy": 409, "token": 401}.get(refused.head["error"], 400)
            answer = encode(refused.head)
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def respond(self):
        data = self.body()
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
            raise Refused("token", "the token is not this worker's")
        if self.path == "/hello":
            answer = self.server.hello(decode(data)[0])
            self.session = answer["session"]
            return 200, encode(answer)
        session = self.headers.get("Tercet-Session")
        if session is None or session != self.server.session:
            raise Refused("request", "the driver's session has ended")
        # The session lives as long as the connection that its last request came by.
        self.session = session
        wait = min(float(self.headers.get("Tercet-Wait", WAIT_MAX)), WAIT_MAX)
        if self.path == "/do":
            if self.server.job is not None:
                raise Refused("request", "the request before this one has not been answered")
            self.server.job = Job(data)
            self.server.jobs.put(self.server.job)
        elif self.path != "/wait" or self.server.job is None:
            raise Refused("request", f"there is nothing to answer at {self.path}")
        job = self.server.job
        if not job.finished.wait(wait):
            return 202, encode({"progress": job.take_news()})
        self.server.job = None
        return 200, job.answer

    def body(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BYTES_MAX:
            self.close_connection = True
            raise Refused("request", f"a request must say its length, at most {BYTES_MAX} bytes")
        self.connection.settimeout(PATIENCE)
        data = self.rfile.read(int(length))
        self.connection.settimeout(None)
        if len(data) != int(length):
            self.close_connection = True
            raise Refused("request", "the request ended early")
        return data


def serve(ranks, settings, token):
    """Works until the process is ended."""
    worker = Worker(ranks, settings)
    if ranks.rank != 0:
        while True:
            worker.job(ranks.broadcast(), lambda lengths: None)
    jobs = queue.Queue()
    server = Server((settings.host, settings.port), token, worker, jobs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address[:2]
    # The driver that started this process waits for this line.
    print(f"tercet.torch listens at http://{host}:{port}", flush=True)
    while True:
        job = jobs.get()
        # The heavy work stays in the main thread, where torch's own threads belong.
        job.answer = worker.job(ranks.broadcast(job.data), job.progress)
        job.finished.set()
