"""A hostile client: what it may do to a listener, as functions. Loopback addresses only."""
import contextlib
import http.client
import resource
import socket
import threading
import time

HOST = "127.0.0.1"


def allow_many_sockets():
    """A flood needs more descriptors than an ordinary soft limit of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def head(method, path, *lines, length=None):
    """The head of a request as bytes."""
    fields = ["Host: localhost", *lines, *([] if length is None else
                                           ["Content-Type: application/json", f"Content-Length: {length}"])]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode()


def connect(port, source=HOST, receive_buffer=None, seconds=30):
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(seconds)
    connection.bind((source, 0))
    connection.connect((HOST, port))
    return connection


@contextlib.contextmanager
def connections(port, count, data=b"", **options):
    """Connections that send `data` and then nothing, and never read. Those that the server resets stay in the list."""
    opened = []
    try:
        for _ in range(count):
            opened.append(connect(port, **options))
            with contextlib.suppress(OSError):
                opened[-1].sendall(data)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def exchange(port, data, source=HOST, seconds=30):
    """Sends bytes; returns all that comes back until the server closes."""
    with contextlib.closing(connect(port, source, seconds=seconds)) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
        answer = b""
        with contextlib.suppress(OSError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def get(port, path, source=HOST, seconds=30):
    """(status, body) of a request on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds, source_address=(source, 0))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Monitor:
    """Asks for /livez and /readyz on new connections the whole time, as Kubernetes would, and keeps the worst."""

    def __init__(self, port, source="127.0.0.1"):
        self.port, self.source = port, source
        self.worst, self.asked, self.failures = 0.0, 0, []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.ask, daemon=True)

    def ask(self):
        while self.asked == 0 or not self.ended.wait(0.02):
            for path in ("/livez", "/readyz"):
                began = time.monotonic()
                try:
                    status, body = get(self.port, path, self.source, 30)
                    if status != 200:
                        self.failures.append((path, status, body[:200]))
                except OSError as error:
                    self.failures.append((path, str(error)))
                self.worst = max(self.worst, time.monotonic() - began)
                self.asked += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
