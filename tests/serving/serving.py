"""A running `tenon serve`: started on free ports, stopped in order, asked by plain HTTP."""

import contextlib
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tenon_program import PROGRAM


class Server:
    def __init__(self, process, ports):
        self.process = process
        self.http, self.grpc, self.openai, self.metrics = ports

    def ask(self, port, method, path, body=None, headers=None, timeout=120):
        """(status, headers, bytes) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def v2(self, method, path, body=None, code=200, **options):
        status, _, content = self.ask(self.http, method, path, body, **options)
        assert status == code, content
        return json.loads(content) if content else None

    def v1(self, method, path, body=None, code=200, **options):
        status, _, content = self.ask(self.openai, method, path, body, **options)
        assert status == code, content
        return json.loads(content)

    def raw(self, port, request, timeout=10):
        """What comes back for bytes sent as they are, until the server closes or is silent."""
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            answer = b""
            try:
                connection.sendall(request)
            except OSError:  # it may close before it has read all
                pass
            try:
                while piece := connection.recv(65536):
                    answer += piece
            except OSError:
                pass
            return answer

    def events(self, port, path, body, headers=None):
        """The data of each event of a stream."""
        status, answered, content = self.ask(port, "POST", path, body, headers)
        assert status == 200, content
        assert answered["Content-Type"].startswith("text/event-stream")
        parts = content.decode().split("\n\n")
        assert parts.pop() == ""
        assert all(part.startswith("data: ") for part in parts)
        return [part[len("data: "):] for part in parts]

    def resident(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
        raise AssertionError("no VmRSS")


@contextlib.contextmanager
def serving(*arguments, key=None):
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    command = [PROGRAM, "serve", *arguments, "--http-port", 0, "--grpc-port", 0, "--openai-port", 0, "--metrics-port", 0, "--json"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        ports = json.loads(line)
        server = Server(process, [ports[name] for name in ("http_port", "grpc_port", "openai_port", "metrics_port")])
        headers = {"Authorization": f"Bearer {key}"} if key else None
        end = time.monotonic() + 120
        while server.ask(server.http, "GET", "/v2/health/ready", headers=headers)[0] != 200:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "not ready within two minutes"
            time.sleep(0.05)
        # The access log must be read, or the pipe fills and the server waits.
        import threading

        server.log = []
        reader = threading.Thread(target=lambda: server.log.extend(process.stderr), daemon=True)
        reader.start()
        yield server
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, server.log[-5:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
