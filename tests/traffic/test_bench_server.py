"""`tenon bench --server` against a server of known delays and faults: what it counts, times and names.

Counts are exact. A time is never below what the server waited, and never above what the whole program took: a busy
machine makes no other bound safe.
"""

import json
import signal
import struct
import subprocess
import time

import pytest

from fake_server import FIRST_S, GAP_S, TEMPLATE_TOKENS, fake_server
from tenon_program import PROGRAM, json_of, refuse, run, succeed

NEW = 6
ROUNDED = 1 - 1e-5  # six digits are told
ANSWER_S = FIRST_S + (NEW - 1) * GAP_S


def bench(address, *arguments, code=0, new=NEW, **options):
    return json_of("bench", "--server", address, "--new-tokens", new, "--prompt-tokens", 20, "--warmup", 0, *arguments,
                   code=code, **options)


def check_times(level, whole_s, first_s=FIRST_S, gap_s=GAP_S, new=NEW):
    """Of a level whose requests all were answered by a stream."""
    requests = level["completed"]
    assert level["ttft_ms"]["count"] == level["e2e_ms"]["count"] == requests
    assert level["itl_ms"]["count"] == requests * (new - 1)
    assert level["ttft_ms"]["min"] >= 1e3 * first_s * ROUNDED
    # A late reader sees the gap after a piece shortened, but never their sum.
    last = level["ttft_ms"]["mean"] + (new - 1) * level["itl_ms"]["mean"]
    assert last >= 1e3 * (first_s + (new - 1) * gap_s) * ROUNDED
    assert level["tpot_ms"]["mean"] == pytest.approx(level["itl_ms"]["mean"], rel=1e-4)
    assert level["e2e_ms"]["min"] >= 1e3 * (first_s + (new - 1) * gap_s) * ROUNDED
    assert level["e2e_ms"]["max"] <= 1e3 * whole_s
    for kind in ("ttft_ms", "itl_ms", "e2e_ms"):
        found = level[kind]
        assert found["min"] <= found["p50"] <= found["p90"] <= found["p95"] <= found["p99"] <= found["max"]


def test_a_sweep_of_concurrency():
    with fake_server() as (fake, address):
        begin = time.monotonic()
        result = bench(address, "--concurrency", "1,4", "--requests", 8)
        whole_s = time.monotonic() - begin
        assert result["server"] == {"url": address, "api": "openai-chat", "model": "first", "name": "fake/1",
                                    "facts": {"models": ["first", "second"]}}
        assert [level["concurrency"] for level in result["levels"]] == [1, 4]
        for level in result["levels"]:
            assert (level["sent"], level["completed"], level["failed"], level["cancelled"]) == (8, 8, 0, 0)
            assert level["errors"] == {}
            assert level["output_tokens"] == level["pieces"] == 8 * NEW
            assert level["tokens_counted_by"] == "usage"
            # The words were chosen by asking the server how it counts: one each, and a template.
            assert level["prompt_tokens"] == 8 * 20
            check_times(level, whole_s)
            assert level["requests_per_s"] == pytest.approx(8 / level["window_s"], rel=1e-4)
            assert level["output_tokens_per_s"] == pytest.approx(8 * NEW / level["window_s"], rel=1e-4)
        assert result["levels"][0]["seconds"] >= 8 * ANSWER_S * ROUNDED  # one after the other
        assert fake.most_under_way <= 4
    bodies = [json.loads(body) for body in fake.asked]
    assert len(bodies) == 16  # number() takes the same text once: no prompt came twice
    for body in bodies:
        assert body["max_tokens"] == body["min_tokens"] == NEW and body["stream"] and body["ignore_eos"]
        assert len(body["messages"][0]["content"].split()) == 20 - TEMPLATE_TOKENS


def test_all_users_ask_at_once():
    with fake_server() as (fake, address):
        fake.hold_for = 5
        level, = bench(address, "--concurrency", 5, "--requests", 10)["levels"]
        assert level["completed"] == 10 and fake.most_under_way == 5


def test_warm_up_does_not_count():
    with fake_server() as (fake, address):
        level, = json_of("bench", "--server", address, "--new-tokens", 2, "--prompt-tokens", 20, "--warmup", 3,
                         "--concurrency", 2, "--requests", 4)["levels"]
        assert level["sent"] == 4 and len(fake.asked) == 7


def due(level):
    return [row[0] for row in level["timeline"]]


def test_a_sweep_of_rates():
    with fake_server() as (fake, address):
        result = bench(address, "--request-rate", "20,40", "--arrivals", "constant", "--requests", 10)
        for level, rate in zip(result["levels"], (20, 40)):
            assert level["request_rate"] == rate
            assert level["sent"] == level["completed"] == 10
            assert due(level) == pytest.approx([i / rate for i in range(10)], rel=1e-5)
            for at, first, end, failure in level["timeline"]:
                assert failure == "none" and first - at >= FIRST_S * ROUNDED and end >= first
            assert level["seconds"] >= (9 / rate + ANSWER_S) * ROUNDED


def test_a_rate_does_not_wait_for_answers():
    """A server that answers nothing before all have come: latency counts from when each was due."""
    with fake_server() as (fake, address):
        fake.hold_for = 12
        level, = bench(address, "--request-rate", 30, "--arrivals", "constant", "--requests", 12)["levels"]
        assert level["completed"] == 12 and fake.most_under_way == 12
        assert level["ttft_ms"]["max"] >= 1e3 * (11 / 30 + FIRST_S) * ROUNDED


def test_poisson_arrivals_repeat_with_their_seed():
    with fake_server(first_s=0, gap_s=0) as (_, address):
        ask = lambda seed: due(bench(address, "--request-rate", 100, "--requests", 60, "--seed", seed, new=1)["levels"][0])
        first, again, other = ask(1), ask(1), ask(2)
        assert first == again != other
        gaps = [b - a for a, b in zip([0, *first], first)]
        assert min(gaps) > 0
        # The sum of 60 gaps of mean 10 ms has a deviation of 77 ms; bounds of five.
        assert 0.6 - 0.39 < first[-1] < 0.6 + 0.39
        assert max(gaps) > 3 * sorted(gaps)[30]  # as far from even as an exponential is


def test_a_duration_bounds_each_level():
    with fake_server() as (_, address):
        level, = bench(address, "--concurrency", 2, "--duration", 0.5)["levels"]
        assert level["sent"] >= 2 and level["failed"] == 0
        assert all(row[0] < 0.5 for row in level["timeline"])
        level, = bench(address, "--request-rate", 40, "--arrivals", "constant", "--duration", 0.5)["levels"]
        assert level["sent"] == 20 and max(due(level)) < 0.5


def test_goodput_counts_what_keeps_the_targets():
    limit_ms = 400
    with fake_server() as (fake, address):
        fake.delay_of = lambda number: 0.5 if number % 3 == 0 else FIRST_S
        level, = bench(address, "--concurrency", 3, "--requests", 12, "--goodput", f"ttft:{limit_ms},e2e:60000")["levels"]
    good = sum((row[1] - row[0]) * 1e3 <= limit_ms for row in level["timeline"])
    assert good <= 8
    assert level["goodput"]["share"] == pytest.approx(good / 12, rel=1e-4)
    assert level["goodput"]["per_s"] == pytest.approx(good / level["window_s"], rel=1e-4)
    assert level["goodput"]["ttft_ms"] == limit_ms


FAULTS = {
    "status 429": [429], "status 500": [500], "status 503": [503],
    "cut": ["closed", "cut", "no end"],
    "malformed": ["no HTTP", "no JSON", "no object", "wrong types"],
    "server": ["error event"],
    "timeout": ["silent"],
}


def test_failures_are_counted_and_named():
    kinds = [fault for faults in FAULTS.values() for fault in faults]
    with fake_server() as (fake, address):
        fake.fault_of = lambda number: kinds[number // 2] if number % 2 and number // 2 < len(kinds) else None
        count = 2 * len(kinds)
        result = bench(address, "--concurrency", 1, "--requests", count, "--timeout", 1)
        level, = result["levels"]
        text = run("bench", "--server", address, "--new-tokens", NEW, "--prompt-tokens", 20, "--warmup", 0,
                   "--requests", 4, "--seed", 8).stdout
    # A machine that stands still for a second makes a good answer late; then it is told as such.
    late = sum(row[3] == "timeout" for row in level["timeline"][::2])
    assert level["sent"] == count
    assert (level["completed"], level["failed"]) == (len(kinds) - late, len(kinds) + late)
    told = {kind: one["count"] for kind, one in level["errors"].items()}
    told["timeout"] -= late
    assert told == {kind: len(faults) for kind, faults in FAULTS.items()}
    assert level["errors"]["status 429"]["example"] == "status 429 was wanted"
    assert level["errors"]["server"]["example"] == "out of pages"
    assert "closed the connection" in level["errors"]["cut"]["example"]
    assert "within the time" in level["errors"]["timeout"]["example"]
    assert level["e2e_ms"]["count"] == len(kinds) - late  # of good ones only
    assert [row[3] for row in level["timeline"][1::2]] == [
        kind.split()[0] for kind, faults in FAULTS.items() for _ in faults]
    assert "concurrency 1" in text


def test_failures_stand_in_the_text():
    with fake_server() as (fake, address):
        fake.fault_of = lambda number: 503
        result = run("bench", "--server", address, "--new-tokens", NEW, "--warmup", 0, "--requests", 3)
    assert result.returncode == 1  # nothing was answered
    assert "3 x status 503: status 503 was wanted" in result.stdout


def test_a_connection_that_was_closed_while_idle_is_no_failure():
    with fake_server() as (fake, address):
        seen = set()

        def once(number):
            if number == 1 and number not in seen:
                seen.add(number)
                return "closed"
            return None

        fake.fault_of = once
        level, = bench(address, "--concurrency", 1, "--requests", 3)["levels"]
    assert (level["completed"], level["failed"], seen) == (3, 0, {1})


def test_fields_that_a_server_refuses_are_left_out_and_told():
    with fake_server(refuses=("min_tokens",)) as (fake, address):
        result = bench(address, "--requests", 2)
        assert "min_tokens is refused and not sent" in result["notes"]
        assert all("min_tokens" not in json.loads(body) for body in fake.asked)
    with fake_server(refuses=("min_tokens", "ignore_eos")) as (fake, address):
        result = bench(address, "--requests", 2)
        assert any(note.startswith("ignore_eos and min_tokens are refused") for note in result["notes"])
        assert result["levels"][0]["completed"] == 2


def test_completions_pictures_and_whole_answers():
    with fake_server() as (fake, address):
        begin = time.monotonic()
        level, = bench(address, "--api", "openai", "--model", "second", "--requests", 3)["levels"]
        check_times(level, time.monotonic() - begin)
        assert json.loads(fake.asked[0])["model"] == "second"
        level, = bench(address, "--no-stream", "--requests", 3)["levels"]
        assert level["output_tokens"] == 3 * NEW and level["pieces"] == 0 and level["ttft_ms"] is None
        assert level["e2e_ms"]["min"] >= 1e3 * FIRST_S * ROUNDED
        level, = bench(address, "--api", "images", "--requests", 3, "--extra", '{"steps": 4}')["levels"]
        assert level["completed"] == 3 and level["output_tokens"] == 0
        assert json.loads(fake.asked[-1])["steps"] == 4


def tensors_of(body, length):
    """(name, datatype, shape, bytes) of each input of a request with binary tensors."""
    head, at = json.loads(body[:length]), length
    for one in head["inputs"]:
        size = one["parameters"]["binary_data_size"]
        yield one["name"], one["datatype"], one["shape"], body[at:at + size]
        at += size
    assert at == len(body)


def test_tensors():
    with fake_server(speaks="kserve") as (fake, address):
        result = bench(address, "--model", "tensors", "--shape", "A:2,3", "--concurrency", "1,3", "--requests", 6)
        assert result["server"]["api"] == "kserve" and result["server"]["name"] == "fake 7"
        for level in result["levels"]:
            assert level["completed"] == 6 and level["failed"] == 0
            assert level["e2e_ms"]["min"] >= 1e3 * FIRST_S * ROUNDED
        lengths = [int(one["Inference-Header-Content-Length"]) for one in fake.headers
                   if "Inference-Header-Content-Length" in one]
        for body, length in zip(fake.asked, lengths):
            (a, floats), (i, integers), (s, text) = [
                ((name, kind, shape), data) for name, kind, shape, data in tensors_of(body, length)]
            assert (a, i, s) == (("A", "FP32", [2, 3]), ("I", "INT64", [2]), ("S", "BYTES", [1]))
            assert all(0 <= one < 1 for one in struct.unpack("<6f", floats))
            assert all(0 <= one < 10 for one in struct.unpack("<2q", integers))
            assert struct.unpack("<I", text[:4])[0] == len(text) - 4
    with fake_server(speaks="kserve") as (fake, address):
        fake.fault_of = lambda number: {1: "error in the answer", 2: "wrong length"}.get(number)
        level, = bench(address, "--model", "tensors", "--requests", 6)["levels"]
        assert level["completed"] == 4 and level["errors"]["malformed"]["count"] == 2


def test_generate():
    with fake_server(speaks="kserve") as (fake, address):
        begin = time.monotonic()
        result = bench(address, "--model", "text", "--requests", 4, "--concurrency", 2)
        level, = result["levels"]
        assert result["server"]["api"] == "kserve-generate"
        assert level["output_tokens"] == 4 * NEW and level["tokens_counted_by"] == "pieces"
        check_times(level, time.monotonic() - begin)
        level, = bench(address, "--model", "text", "--no-stream", "--requests", 4)["levels"]
        assert level["completed"] == 4


def test_keys(tmp_path):
    (tmp_path / "key").write_text("# of the test\nsecret-1\n")
    with fake_server(key="secret-1") as (_, address):
        assert "--api-key-file" in refuse(3, "bench", "--server", address)
        level, = bench(address, "--api-key-file", tmp_path / "key", "--requests", 2)["levels"]
        assert level["completed"] == 2


def test_what_cannot_be_measured_is_refused(tmp_path):
    with fake_server() as (_, address):
        for arguments in (["--concurrency", "0"], ["--concurrency", "1.5"], ["--concurrency", "2", "--request-rate", "3"],
                          ["--request-rate", "-1"], ["--goodput", "speed:3"], ["--shape", "A"], ["--extra", "[]"],
                          ["--api", "smoke-signals"], ["--request-rate", "5", "--arrivals", "never"]):
            assert refuse(2, "bench", "--server", address, *arguments)
        assert "'third'" in refuse(3, "bench", "--server", address, "--model", "third")
        assert "--report" in refuse(2, "bench", "--compare", tmp_path / "none.json")
    with fake_server(speaks="nothing") as (_, address):
        assert "--api" in refuse(3, "bench", "--server", address)
    refuse(4, "bench", "--server", address)  # nobody listens any more
    with fake_server(speaks="kserve") as (_, address):
        message = refuse(3, "bench", "--server", address)
        assert "tensors" in message and "text" in message
        assert "'B'" in refuse(2, "bench", "--server", address, "--model", "tensors", "--shape", "B:1")


def test_an_interrupt_tells_what_was_measured():
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    with fake_server(gap_s=0) as (fake, address):
        fake.delay_of = lambda number: 0 if number < 4 else 30
        process = subprocess.Popen([PROGRAM, "bench", "--server", address, "--new-tokens", "2", "--warmup", "0",
                                    "--concurrency", "2", "--requests", "50", "--json"], stdout=subprocess.PIPE)
        end = time.monotonic() + 60
        while len(fake.asked) < 6:
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        result = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 130 and result["interrupted"]
    level, = result["levels"]
    assert level["stopped"] and (level["completed"], level["cancelled"], level["failed"]) == (4, 2, 0)


def test_reports_and_comparisons(tmp_path):
    page = tmp_path / "page.html"
    with fake_server() as (_, address):
        result = bench(address, "--requests", 4, "--concurrency", "1,2", "--label", "<one> & only", "--report", page)
        (tmp_path / "one.json").write_text(json.dumps(result))
        bench(address, "--requests", 4, "--label", "the other", "--report", page, "--compare", tmp_path / "one.json")
    text = page.read_text()
    assert "&lt;one&gt; &amp; only" in text and "the other" in text and "<one>" not in text
    assert text.count("<svg") > 6 and not any(word in text for word in ("<script", "src=", "http-equiv"))
    page.unlink()
    succeed("bench", "--compare", tmp_path / "one.json", "--report", page)
    assert "concurrency 2" in page.read_text()
    (tmp_path / "odd.json").write_text('{"levels": 3}')
    assert "odd.json" in refuse(3, "bench", "--compare", tmp_path / "odd.json", "--report", page)
