"""Loads and unloads under traffic: no lost answer, none of two models, and nothing left behind."""

import json
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from models import BODY, factor_of, scale_model
from serving import serving

ROUNDS = 1000 if os.environ.get("TENON_LONG") == "1" else 100
MOST_GROWTH = 20 << 20


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def traffic(server, ends, seen, wrong):
    while not ends.is_set():
        status, headers, body = server.ask(server.http, "POST", "/v2/models/scale/infer", BODY)
        if status == 200:
            try:
                answer = json.loads(body)
                seen.add((answer["model_version"], factor_of(answer)))
            except Exception as error:
                wrong.append(repr(error))
        elif status not in (404, 503):
            wrong.append((status, body))


def churn(server, rounds, folder):
    for i in range(rounds):
        # The same version with another content, which unloads the one before, and at times none at all.
        scale_model(folder / "scale/1/model.onnx", i % 2 + 1, extra=2000)
        server.v2("POST", "/v2/repository/models/scale/load")
        if i % 2 == 1:
            server.v2("POST", "/v2/repository/models/scale/unload")
    server.v2("POST", "/v2/repository/models/scale/load")


def test_reload_under_traffic(tmp_path):
    folder = tmp_path / "models"
    scale_model(folder / "scale/1/model.onnx", 1, extra=2000)
    with serving(folder, "--model-control-mode", "explicit", "--load-model", "*", "--precision", "fp32", "--threads", 1,
                 "--no-access-log") as server:
        ends, seen, wrong = threading.Event(), set(), []
        threads = [threading.Thread(target=traffic, args=(server, ends, seen, wrong)) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            churn(server, 20, folder)  # what a process keeps once is not a leak
            resident, files = server.resident(), open_files(server)
            churn(server, ROUNDS, folder)
        finally:
            ends.set()
            for thread in threads:
                thread.join()
        print(f"{ROUNDS} loads under traffic: {resident >> 20} MB and {files} files before, {server.resident() >> 20} MB "
              f"and {open_files(server)} files after")
        assert not wrong, wrong[:3]
        assert seen == {("1", 1.0), ("1", 2.0)}
        assert server.resident() - resident <= MOST_GROWTH
        # Four connections of the traffic may have been open then, none is now.
        assert open_files(server) <= files


def test_memory_is_given_back(tmp_path):
    """A model of 32 MB of weights: what a load adds goes with the unload."""
    folder = tmp_path / "models"
    scale_model(folder / "small/1/model.onnx", 1)
    scale_model(folder / "scale/1/model.onnx", 1, extra=1_000_000)
    with serving(folder, "--model-control-mode", "explicit", "--load-model", "small", "--precision", "fp32",
                 "--threads", 1) as server:
        load = lambda: server.v2("POST", "/v2/repository/models/scale/load")
        unload = lambda: server.v2("POST", "/v2/repository/models/scale/unload")
        load()
        unload()
        import time

        time.sleep(0.5)  # it ends behind the answer
        before = server.resident()
        load()
        assert server.resident() - before > 16 << 20
        unload()
        end = time.monotonic() + 10
        while server.resident() - before > 4 << 20 and time.monotonic() < end:
            time.sleep(0.05)
        assert server.resident() - before <= 4 << 20
