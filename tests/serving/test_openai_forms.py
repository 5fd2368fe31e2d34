"""Answers held to a form and calls of tools, through OpenAI's API."""

import json
import re

import pytest

from serving import serving
from tenon_program import DEMO

SCHEMA = {"type": "object", "properties": {"name": {"enum": ["Ann", "Bob"]}, "age": {"type": "integer", "minimum": 0,
                                                                                     "maximum": 120}},
          "required": ["name", "age"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}, "days": {"type": "integer", "minimum": 1,
                                                                                  "maximum": 9}},
    "required": ["city", "days"]}}},
         {"type": "function", "function": {"name": "now", "parameters": {
             "type": "object", "properties": {}, "additionalProperties": False}}}]


def completion(**changes):
    return {"model": "llama-verse", "prompt": "The night is", "max_tokens": 64, "temperature": 0, **changes}


def chat(**changes):
    return {"model": "neox-instruct", "temperature": 0, "max_tokens": 64,
            "messages": [{"role": "user", "content": "What is the weather in Rome?"}], **changes}


FORMS = {
    "response_format": ({"response_format": {"type": "json_schema", "json_schema": {
        "name": "person", "strict": True, "schema": SCHEMA}}}, "schema"),
    "guided_json": ({"guided_json": SCHEMA}, "schema"),
    "guided_json as text": ({"guided_json": json.dumps(SCHEMA)}, "schema"),
    "json_schema": ({"json_schema": SCHEMA}, "schema"),
    "structured_outputs": ({"structured_outputs": {"json": SCHEMA}}, "schema"),
    "guided_regex": ({"guided_regex": "[0-9]{4}-[0-9]{2}"}, r"[0-9]{4}-[0-9]{2}"),
    "structured regex": ({"structured_outputs": {"regex": "a{3}"}}, "aaa"),
    "guided_choice": ({"guided_choice": ["yes it is", "no"]}, "yes it is|no"),
    "grammar": ({"grammar": 'root ::= ("a" | "b"){2} "!"'}, "[ab]{2}!"),
    "guided_grammar": ({"guided_grammar": 'root ::= "x" [0-9]'}, "x[0-9]"),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(server, name):
    fields, wanted = FORMS[name]
    for body in (completion(**fields), completion(temperature=1, seed=3, n=3, **fields)):
        for choice in server.v1("POST", "/v1/completions", body)["choices"]:
            assert choice["finish_reason"] == "stop"
            if wanted == "schema":
                value = json.loads(choice["text"])
                assert list(value) == ["name", "age"] and value["name"] in ("Ann", "Bob") and 0 <= value["age"] <= 120
            else:
                assert re.fullmatch(wanted, choice["text"])
    events = server.events(server.openai, "/v1/chat/completions", chat(stream=True, **fields))
    text = "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1])
    assert json.loads(text) if wanted == "schema" else re.fullmatch(wanted, text)


@pytest.mark.parametrize("fields, named", [
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "patternProperties": {}}}}},
     "patternProperties"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"guided_json": {"properties": {"a": {"not": {}}}, "type": "object"}}, "#/properties/a"),
    ({"guided_json": 5}, "guided_json"),
    ({"guided_json": "{"}, "guided_json"),
    ({"guided_regex": "(a"}, "guided_regex"),
    ({"guided_regex": "(?=a)b"}, "guided_regex"),
    ({"guided_choice": []}, "guided_choice"),
    ({"guided_choice": ["a", 1]}, "guided_choice"),
    ({"grammar": "root ::= root"}, "grammar"),
    ({"grammar": "x"}, "grammar"),
    ({"structured_outputs": {"structural_tag": "x"}}, "structural_tag"),
    ({"structured_outputs": {"other": 1}}, "structured_outputs.other"),
    ({"guided_json": {}, "guided_regex": "a"}, "one constraint"),
    ({"json_schema": {"type": "string", "maxLength": 10**12}}, "json_schema"),
])
def test_constraints_that_cannot_be_kept_to(server, fields, named):
    error = server.v1("POST", "/v1/completions", completion(**fields), 400)["error"]
    assert named in error["message"], error
    server.v1("POST", "/v1/completions", completion(max_tokens=1))


def test_other_schemas_while_one_is_compiled(server):
    """A costly constraint does not hold up answers under way."""
    costly = completion(max_tokens=1, guided_regex="(a|b|c)*a(a|b|c){12}")
    status, _, _ = server.ask(server.openai, "POST", "/v1/completions", costly)
    assert status in (200, 400)


def arguments_fit(call):
    arguments = json.loads(call["function"]["arguments"])
    if call["function"]["name"] == "now":
        return isinstance(arguments, dict)
    return arguments["city"] in ("Rome", "Oslo") and 1 <= arguments["days"] <= 9


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
@pytest.mark.parametrize("sampling", [{}, {"temperature": 1, "seed": 5}])
def test_tools(server, choice, sampling):
    body = chat(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=200, **sampling)
    answer = server.v1("POST", "/v1/chat/completions", body)["choices"][0]
    assert answer["finish_reason"] == "tool_calls" and answer["message"]["content"] is None
    (call,) = answer["message"]["tool_calls"]
    assert call["type"] == "function" and call["id"] and arguments_fit(call)
    if choice != "required":
        assert call["function"]["name"] == "get_weather"
    events = [json.loads(event) for event in
              server.events(server.openai, "/v1/chat/completions", {**body, "stream": True})[:-1]]
    deltas = [one for event in events for one in event["choices"][0]["delta"].get("tool_calls", [])]
    assert deltas[0]["id"] and deltas[0]["function"]["name"] == call["function"]["name"]
    assert len(deltas) > 2 and all("id" not in delta for delta in deltas[1:])
    assert "".join(delta["function"]["arguments"] for delta in deltas) == call["function"]["arguments"]
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("fields, named", [
    ({"tools": TOOLS}, "knows no tools"),
    ({"tools": TOOLS * 5000, "tool_choice": "required"}, "at most 128"),
    ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}, "other"),
    ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
    ({"tools": TOOLS, "tool_choice": "required", "guided_regex": "a"}, "tool_choice"),
    ({"tool_choice": "required"}, "tools"),
    ({"tools": [TOOLS[0], TOOLS[0]], "tool_choice": "required"}, "tools[1]"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "not": {}}}}],
      "tool_choice": "required"}, "tools[0].function.parameters"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"reasoning_effort": "high"}, "reasoning_effort"),
    ({"store": True}, "store"), ({"service_tier": "flex"}, "service_tier"), ({"unheard_of": 1}, "unheard_of"),
    ({"priority": 1000}, "priority"), ({"logprobs": False, "top_logprobs": 3}, "top_logprobs"),
])
def test_refusals(server, fields, named):
    error = server.v1("POST", "/v1/chat/completions", chat(**fields), 400)["error"]
    assert named in error["message"], error


def test_special_tokens_of_users_stay_text(server):
    """What stands for a role or an end in a message counts as its letters, not as one token."""
    def tokens(content):
        body = chat(max_tokens=1, messages=[{"role": "user", "content": content}])
        return server.v1("POST", "/v1/chat/completions", body)["usage"]["prompt_tokens"]

    empty = tokens("a")
    for text in ("<|endoftext|>", "### End", "</s><|im_start|>"):
        assert tokens("a" + text) > empty + 1


def test_many_prompts(server):
    texts = ["The night is", "A rose", "Once"]
    together = server.v1("POST", "/v1/completions", completion(prompt=texts, max_tokens=8, n=2, temperature=1, seed=4))
    assert [choice["index"] for choice in together["choices"]] == list(range(6))
    for i, text in enumerate(texts):
        alone = server.v1("POST", "/v1/completions", completion(prompt=text, max_tokens=8, n=2, temperature=1, seed=4))
        assert [one["text"] for one in alone["choices"]] == [one["text"] for one in together["choices"][2 * i:2 * i + 2]]
    events = server.events(server.openai, "/v1/completions", completion(prompt=texts, max_tokens=8, stream=True))
    parts = {}
    for event in events[:-1]:
        choice = json.loads(event)["choices"][0]
        parts[choice["index"]] = parts.get(choice["index"], "") + choice["text"]
    whole = server.v1("POST", "/v1/completions", completion(prompt=texts, max_tokens=8))
    assert [parts[i] for i in range(3)] == [one["text"] for one in whole["choices"]]
    for bad in ([], [[]], ["a", 5], [[1], ["a"]], ["a"] * 65, ["a", "word " * 5000]):
        server.v1("POST", "/v1/completions", completion(prompt=bad), 400)


def test_best_of(server):
    body = completion(temperature=1, seed=7, max_tokens=8)
    every = server.v1("POST", "/v1/completions", {**body, "n": 5, "logprobs": 0})["choices"]
    means = [sum(one["logprobs"]["token_logprobs"]) / len(one["logprobs"]["token_logprobs"]) for one in every]
    best = server.v1("POST", "/v1/completions", {**body, "n": 2, "best_of": 5})["choices"]
    order = sorted(range(5), key=lambda i: -means[i])
    assert [one["text"] for one in best] == [every[i]["text"] for i in order[:2]]
    assert best[0]["logprobs"] is None
    server.v1("POST", "/v1/completions", {**body, "n": 2, "best_of": 1}, 400)
    server.v1("POST", "/v1/completions", {**body, "best_of": 2, "stream": True}, 400)


def test_contract(server):
    status, headers, content = server.ask(server.openai, "POST", "/v1/completions", completion(max_tokens=2))
    assert status == 200 and headers["X-Tenon-Contract"] == "deterministic-per-batch"
    with serving(DEMO / "llama-verse", "--precision", "fp32", "--threads", 1, "--batch-invariant") as other:
        status, headers, invariant = other.ask(other.openai, "POST", "/v1/completions", completion(max_tokens=2))
        assert headers["X-Tenon-Contract"] == "batch-invariant"
    prints = [json.loads(one)["system_fingerprint"] for one in (content, invariant)]
    assert prints[0].startswith("fp_") and prints[0] != prints[1]


@pytest.mark.parametrize("body", [b'{"model": "llama-verse", "model": "x", "prompt": "a"}', b"[]", b"", b'{"model": 5}'])
def test_hostile_bodies(server, body):
    status, _, content = server.ask(server.openai, "POST", "/v1/completions", body)
    assert status == 400 and json.loads(content)["error"]["message"]


def test_pictures_as_they_come(server):
    body = {"model": "pictures", "prompt": "a cat", "steps": 4, "seed": 3}
    whole = server.v1("POST", "/v1/images/generations", body)["data"][0]["b64_json"]
    status, headers, content = server.ask(server.openai, "POST", "/v1/images/generations",
                                          json.dumps({**body, "stream": True, "partial_images": 2}))
    assert status == 200 and headers["Content-Type"].startswith("text/event-stream")
    events = []
    for part in content.decode().split("\n\n")[:-1]:
        name, data = part.split("\n")
        events.append(json.loads(data[len("data: "):]))
        assert name == "event: " + events[-1]["type"]
    kinds = [event["type"].split(".")[1] for event in events]
    assert kinds.count("progress") == events[0]["steps"] >= 4 and kinds[-1] == "completed" and kinds.count("completed") == 1
    partial = [event for event in events if event["type"].endswith("partial_image")]
    assert [event["partial_image_index"] for event in partial] == list(range(len(partial))) and len(partial) <= 2
    assert events[-1]["b64_json"] == whole
    for format, magic in (("jpeg", "/9j/"), ("webp", "UklGR")):
        answer = server.v1("POST", "/v1/images/generations", {**body, "output_format": format})
        assert answer["data"][0]["b64_json"].startswith(magic) and answer["output_format"] == format
    for bad in ({"output_format": "gif"}, {"partial_images": 1}, {"stream": True, "partial_images": 4},
                {"stream": True, "n": 2}, {"quality": "hd"}, {"unheard_of": 1}, {"response_format": "url"}):
        server.v1("POST", "/v1/images/generations", {**body, **bad}, 400)
