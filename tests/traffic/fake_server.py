"""A server that speaks as much of OpenAI's API and of KServe v2 as a load client asks for, with delays and faults that
the test chooses, and keeps what it was sent."""

import contextlib
import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST_S = 0.05
GAP_S = 0.01
TEMPLATE_TOKENS = 5


class Fake:
    def __init__(self, speaks="openai", first_s=FIRST_S, gap_s=GAP_S, key=None, refuses=()):
        self.speaks, self.first_s, self.gap_s, self.key = speaks, first_s, gap_s, key
        self.refuses = refuses  # fields answered with 400
        self.fault_of = lambda index: None  # of the measured request of this number
        self.delay_of = lambda index: self.first_s
        self.hold_for = 1  # answers wait until so many requests are under way
        self.asked = []  # bodies of measured requests
        self.headers = []
        self.moment = threading.Condition()
        self.under_way = self.most_under_way = 0
        self.released = False
        self.numbers = {}

    def number(self, body):
        """The same for the same question: a client may repeat one after a connection that was closed."""
        with self.moment:
            if body not in self.numbers:
                self.numbers[body] = len(self.numbers)
                self.asked.append(body)
            return self.numbers[body]

    @contextlib.contextmanager
    def request(self):
        with self.moment:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            self.released = self.released or self.under_way >= self.hold_for
            self.moment.notify_all()
            assert self.moment.wait_for(lambda: self.released, 60), "the client sends fewer at once"
        try:
            yield
        finally:
            with self.moment:
                self.under_way -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "fake/1", ""
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def fake(self):
        return self.server.fake

    def reply(self, status, answer, headers=()):
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refused(self):
        if self.fake.key is None or self.headers.get("Authorization") == f"Bearer {self.fake.key}":
            return False
        self.reply(401, {"error": {"message": "no key"}})
        return True

    def do_GET(self):
        if self.refused():
            return
        if self.fake.speaks == "openai" and self.path == "/v1/models":
            return self.reply(200, {"object": "list", "data": [{"id": "first"}, {"id": "second"}]})
        if self.fake.speaks == "kserve" and self.path == "/v2":
            return self.reply(200, {"name": "fake", "version": "7", "extensions": []})
        if self.fake.speaks == "kserve" and self.path == "/v2/models/tensors":
            return self.reply(200, {"name": "tensors", "inputs": [
                {"name": "A", "datatype": "FP32", "shape": [-1, 3]}, {"name": "I", "datatype": "INT64", "shape": [2]},
                {"name": "S", "datatype": "BYTES", "shape": [1]}], "outputs": []})
        if self.fake.speaks == "kserve" and self.path == "/v2/models/text":
            return self.reply(200, {"name": "text", "inputs": [
                {"name": "text_input", "datatype": "BYTES", "shape": [1]}], "outputs": []})
        return self.reply(404, {"error": "no such page"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refused():
            return None
        self.fake.headers.append(dict(self.headers))
        route = {"/v1/chat/completions": self.chat, "/v1/completions": self.completion,
                 "/v1/images/generations": self.image, "/v2/models/tensors/infer": self.infer,
                 "/v2/models/text/generate": self.generate, "/v2/models/text/generate_stream": self.generate}
        if self.path == "/v2/repository/index":
            return self.reply(200, [{"name": "tensors", "state": "READY"}, {"name": "text", "state": "READY"}])
        return route[self.path](body) if self.path in route else self.reply(404, {"error": "no such page"})

    def chat(self, body):
        question = json.loads(body)["messages"][0]["content"]
        self.text(body, question, lambda piece: {"delta": {"content": piece}}, {"delta": {"role": "assistant"}})

    def completion(self, body):
        self.text(body, json.loads(body)["prompt"], lambda piece: {"text": piece}, None)

    def text(self, body, question, choice, opening):
        asked = json.loads(body)
        for field in self.fake.refuses:
            if field in asked:
                return self.reply(400, {"error": {"message": f"unknown field {field}"}})
        count = asked["max_tokens"]
        usage = {"prompt_tokens": len(question.split()) + TEMPLATE_TOKENS, "completion_tokens": count}
        if not asked.get("stream"):
            if count > 1:  # a measured one: those that find out what stands here ask for one token
                self.fake.number(body)
                time.sleep(self.fake.first_s)
            return self.reply(200, {"choices": [{"finish_reason": "length"}], "usage": usage})
        number = self.fake.number(body)
        with self.fake.request():
            time.sleep(self.fake.delay_of(number))
            fault = self.fake.fault_of(number)
            if fault is not None:
                return self.fail(fault, choice)
            self.begin_stream()
            if opening:
                self.event({"choices": [opening]})
            for i in range(count):
                if i > 0:
                    time.sleep(self.fake.gap_s)
                self.event({"choices": [choice(f"t{i}")]})
            self.event({"choices": [{**choice(""), "finish_reason": "length"}]})
            if asked.get("stream_options", {}).get("include_usage"):
                self.event({"choices": [], "usage": usage})
            self.event("[DONE]")
            self.chunk(b"")
        return None

    def image(self, body):
        self.fake.number(body)
        self.reply(200, {"created": 1, "data": [{"b64_json": "AAAA"}]})

    def infer(self, body):
        number = self.fake.number(body)
        with self.fake.request():
            time.sleep(self.fake.delay_of(number))
            if self.fake.fault_of(number) == "error in the answer":
                return self.reply(200, {"error": "the model fell over"})
            head = json.dumps({"model_name": "tensors", "outputs": [
                {"name": "Y", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}]}).encode()
            length = len(head) + (1000 if self.fake.fault_of(number) == "wrong length" else 0)
            self.reply(200, head + struct.pack("<f", 1), [("Inference-Header-Content-Length", str(length))])
        return None

    def generate(self, body):
        asked = json.loads(body)
        count = asked["parameters"]["max_tokens"]
        if self.path.endswith("/generate"):
            return self.reply(200, {"model_name": "text", "text_output": "t" * count})
        self.fake.number(body)
        with self.fake.request():
            time.sleep(self.fake.first_s)
            self.begin_stream()
            for i in range(count):
                if i > 0:
                    time.sleep(self.fake.gap_s)
                self.event({"model_name": "text", "text_output": f"t{i}"})
            self.chunk(b"")
        return None

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, data):
        text = data if isinstance(data, str) else json.dumps(data)
        self.chunk(f"data: {text}\n\n".encode())

    def drop(self):
        """The connection ends here, without what was promised."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def fail(self, fault, choice):
        if isinstance(fault, int):
            return self.reply(fault, {"error": {"message": f"status {fault} was wanted"}})
        if fault == "closed":
            return self.drop()
        if fault == "no HTTP":
            self.wfile.write(b"220 mail.example ready\r\n\r\n")
            return self.drop()
        if fault == "silent":
            time.sleep(2)
            return self.drop()
        self.begin_stream()
        self.event({"choices": [choice("t0")]})
        if fault == "cut":
            return self.drop()
        if fault == "no end":
            return self.chunk(b"")
        self.event({"no JSON": "{\"choices\": [", "no object": "7", "error event": {"error": {"message": "out of pages"}},
                    "wrong types": {"choices": 7}}[fault])
        return self.chunk(b"")


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a client that leaves is part of the tests


@contextlib.contextmanager
def fake_server(**options):
    """(what it was sent, its address)"""
    server = Quiet(("127.0.0.1", 0), Handler)
    server.fake = Fake(**options)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.fake, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
