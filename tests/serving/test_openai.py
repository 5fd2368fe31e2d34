"""OpenAI's API: the answers are those of `tenon run`, in one piece and as a stream."""

import base64
import json
import struct

import pytest

from serving import serving
from tenon_program import DEMO, ROOT, json_of, succeed

PROMPT = "The night is"


def run(name, prompt, *arguments):
    return json_of("run", DEMO / name, "-p", prompt, "--precision", "fp32", "--threads", 1, *arguments)


def completion(**changes):
    return {"model": "llama-verse", "prompt": PROMPT, "max_tokens": 24, "temperature": 0, **changes}


def test_models(server):
    listed = server.v1("GET", "/v1/models")
    assert {one["id"] for one in listed["data"]} == {"llama-verse", "neox-instruct", "pictures", "sums"}
    assert server.v1("GET", "/v1/models/sums")["object"] == "model"
    assert server.v1("GET", "/v1/models/other", code=404)["error"]["code"] == "model_not_found"


def test_completion_is_that_of_run(server):
    wanted = run("llama-verse", PROMPT, "--temperature", 0, "--max-new-tokens", 24)
    answer = server.v1("POST", "/v1/completions", completion())
    (choice,) = answer["choices"]
    assert choice["text"] == wanted["text"]
    assert choice["finish_reason"] == ("length" if wanted["finish_reason"] == "length" else "stop")
    assert answer["usage"]["prompt_tokens"] == len(wanted["prompt_ids"])
    assert answer["usage"]["completion_tokens"] == len(wanted["ids"])
    by_ids = server.v1("POST", "/v1/completions", completion(prompt=wanted["prompt_ids"]))
    assert by_ids["choices"][0]["text"] == wanted["text"]
    assert server.v1("POST", "/v1/completions", completion(echo=True))["choices"][0]["text"].endswith(wanted["text"])


def test_stream(server):
    wanted = server.v1("POST", "/v1/completions", completion())
    events = server.events(server.openai, "/v1/completions",
                           completion(stream=True, stream_options={"include_usage": True}))
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    usage = chunks.pop()
    assert usage["choices"] == []
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert all(usage["usage"][name] == wanted["usage"][name] for name in counts)
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == wanted["choices"][0]["text"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"][0]["finish_reason"] == wanted["choices"][0]["finish_reason"]
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_chat(server):
    wanted = run("neox-instruct", "What is 17 plus 25?", "--chat", "--temperature", 0, "--max-new-tokens", 64)
    body = {"model": "neox-instruct", "temperature": 0, "max_completion_tokens": 64,
            "messages": [{"role": "user", "content": "What is 17 plus 25?"}]}
    answer = server.v1("POST", "/v1/chat/completions", body)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": wanted["text"], "refusal": None}
    assert answer["usage"]["prompt_tokens"] == len(wanted["prompt_ids"])
    body["messages"][0]["content"] = [{"type": "text", "text": "What is 17 plus 25?"}]
    events = server.events(server.openai, "/v1/chat/completions", {**body, "stream": True})
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == wanted["text"]
    refused = server.v1("POST", "/v1/chat/completions", {**body, "model": "llama-verse"}, code=400)
    assert "no chat template" in refused["error"]["message"]


def test_stop_bias_seed_and_many(server):
    whole = server.v1("POST", "/v1/completions", completion())["choices"][0]["text"]
    stop = whole[5:9]
    cut = server.v1("POST", "/v1/completions", completion(stop=[stop]))["choices"][0]
    assert cut["text"] == whole[:whole.index(stop)] and cut["finish_reason"] == "stop"
    first = run("llama-verse", PROMPT, "--temperature", 0, "--max-new-tokens", 1)["ids"][0]
    biased = server.v1("POST", "/v1/completions", completion(max_tokens=1, logit_bias={str(first): -100}))
    assert biased["choices"][0]["text"] != server.v1("POST", "/v1/completions",
                                                     completion(max_tokens=1))["choices"][0]["text"]
    drawn = completion(temperature=1, seed=11, n=3)
    texts = [[choice["text"] for choice in server.v1("POST", "/v1/completions", drawn)["choices"]] for _ in range(2)]
    assert texts[0] == texts[1] and len(set(texts[0])) > 1
    wanted = run("llama-verse", PROMPT, "--temperature", 1, "--seed", 11, "--num-return-sequences", 3, "--top-k", 0,
                 "--max-new-tokens", 24)
    assert texts[0] == [one["text"] for one in wanted["sequences"]]


def test_logprobs(server):
    wanted = run("llama-verse", PROMPT, "--temperature", 0, "--max-new-tokens", 4, "--logprobs", 3)["logprobs"]
    answer = server.v1("POST", "/v1/completions", completion(max_tokens=4, logprobs=3))["choices"][0]["logprobs"]
    # The same kernels on the same values, but perhaps in other tiles: sums of 256 terms in float32
    # differ by at most 256 * 2^-24 of their size, and logits here are below 32.
    tolerance = 2 * 256 * 2**-24 * 32
    assert answer["token_logprobs"] == pytest.approx([one["logprob"] for one in wanted], abs=tolerance)
    assert [len(top) for top in answer["top_logprobs"]] == [3] * 4
    chat = {"model": "neox-instruct", "max_tokens": 2, "temperature": 0, "logprobs": True, "top_logprobs": 2,
            "messages": [{"role": "user", "content": "What is 17 plus 25?"}]}
    content = server.v1("POST", "/v1/chat/completions", chat)["choices"][0]["logprobs"]["content"]
    assert len(content) == 2 and len(content[0]["top_logprobs"]) == 2
    assert bytes(content[0]["bytes"]).decode() == content[0]["token"]


def test_image(server, tmp_path):

    body = {"model": "pictures", "prompt": "a cat", "steps": 2, "seed": 3}
    answer = server.v1("POST", "/v1/images/generations", body)
    png = base64.b64decode(answer["data"][0]["b64_json"])
    assert png.startswith(b"\x89PNG")
    made = tmp_path / "one.png"
    succeed("run", ROOT / "tests/models_images/pipeline", "-p", "a cat", "-o", made, "--steps", 2, "--seed", 3, "--precision", "fp32",
            "--threads", 1)

    def pixels(content):
        at, data = 8, b""
        while at < len(content):
            (length,) = struct.unpack(">I", content[at:at + 4])
            if content[at + 4:at + 8] == b"IDAT":
                data += content[at + 8:at + 8 + length]
            at += 12 + length
        return data

    assert pixels(png) == pixels(made.read_bytes())
    refused = server.v1("POST", "/v1/images/generations", {**body, "response_format": "url"}, code=400)
    assert "b64_json" in refused["error"]["message"]


@pytest.mark.parametrize("changes", [
    {"max_tokens": 0}, {"max_tokens": -5}, {"max_tokens": 2**63}, {"max_tokens": "many"}, {"temperature": -1},
    {"temperature": "hot"}, {"top_p": 2}, {"n": 0}, {"n": 10**6}, {"best_of": 50}, {"stop": [""]}, {"stop": ["x"] * 99},
    {"logit_bias": {"x": 1}}, {"logit_bias": {"1": 1e9}}, {"logit_bias": {"99999999": 1}}, {"logprobs": 10**6},
    {"prompt": []}, {"prompt": [-1]}, {"prompt": [2**31]}, {"prompt": [10**8]}, {"prompt": None}, {"prompt": 5},
    {"echo": True, "logprobs": 1}, {"prompt": "word " * 5000}, {"stream": "yes"}, {"stream_options": {"include_usage": True}},
    {"prompt_logprobs": 1}, {"unknown_field": 1}, {"user": 5}, {"metadata": "x"}, {"model": None}, {"model": 7},
    {"model": "pictures"}, {"model": "sums"}, {"presence_penalty": 1e300}, {"seed": 1.5}, {"suffix": "x"},
])
def test_refusals(server, changes):
    error = server.v1("POST", "/v1/completions", completion(**changes), code=400)["error"]
    assert error["type"] == "invalid_request_error" and error["message"]


def test_embeddings_are_refused(server):
    error = server.v1("POST", "/v1/embeddings", {"model": "llama-verse", "input": "x"}, code=400)["error"]
    assert "no embeddings" in error["message"]


def test_openapi(server):
    described = server.v1("GET", "/openapi.json")
    assert described["openapi"].startswith("3.1")
    assert "post" in described["paths"]["/v1/chat/completions"]


def test_openai_client(server):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.openai}/v1", api_key="unused", max_retries=0)
    assert "llama-verse" in [model.id for model in client.models.list()]
    wanted = client.completions.create(**completion())
    stream = client.completions.create(**completion(stream=True))
    assert "".join(chunk.choices[0].text for chunk in stream) == wanted.choices[0].text
    chat = client.chat.completions.create(model="neox-instruct", temperature=0, max_tokens=64, messages=[
        {"role": "user", "content": "What is 17 plus 25?"}])
    assert "42" in chat.choices[0].message.content
    image = client.images.generate(model="pictures", prompt="a cat", extra_body={"steps": 1})
    assert base64.b64decode(image.data[0].b64_json).startswith(b"\x89PNG")
    with pytest.raises(openai.NotFoundError):
        client.completions.create(**completion(model="other"))
    with pytest.raises(openai.BadRequestError):
        client.completions.create(**completion(max_tokens=-1))
