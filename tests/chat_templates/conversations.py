"""Conversations that chat templates are tried on, and the tools some of them may call."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.\n  At a place, \"now\" or later.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "City <name> & country"},
                "unit": {"type": "string", "enum": ["°C", "°F"]},
                "days": {"type": ["integer", "string"]},
            },
            "required": ["place"],
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Finds papers",
        "parameters": {
            "type": "object",
            "properties": {
                "terms": {"type": "array", "items": {"type": "string"}},
                "limits": {"type": "object", "additionalProperties": {"type": "number"}},
                "other": {},
            },
            "required": [],
        },
    },
}


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, content=None):
    return {"role": "assistant", "content": content,
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}]}


TEXTS = ["Hello", "  spaces around  ", "", "line one\nline two\n\nline four", "Ünïcödé 日本語 🙂 مرحبا",
         "\ttab and trailing newline\n", "{{ braces }} {% if x %} {# none #}", "<|im_end|></s>[INST] 'quotes' \"double\" \\back"]

CONVERSATIONS = []
for text in TEXTS:
    CONVERSATIONS.append([turn("user", text)])
for text in TEXTS[:5]:
    CONVERSATIONS.append([turn("system", text or "Be brief."), turn("user", "What is 2+2?")])
CONVERSATIONS += [
    [],
    [turn("system", "Only a system message.")],
    [turn("assistant", "I begin.")],
    [turn("user", "Hi"), turn("assistant", "Hello!")],
    [turn("user", "Hi"), turn("assistant", " Hello! "), turn("user", "Bye\n")],
    [turn("system", " You are a pirate. "), turn("user", "Hi"), turn("assistant", "Arr"), turn("user", "More")],
    [turn("user", f"q{i // 2}") if i % 2 == 0 else turn("assistant", f"a{i // 2}") for i in range(9)],
    [turn("user", "one"), turn("user", "two")],
    [turn("user", "one"), turn("assistant", "x"), turn("assistant", "y")],
    [turn("user", "Hi"), turn("system", "late"), turn("user", "again")],
    [turn("user", "Think"), turn("assistant", "<think>long thought</think>answer"), turn("user", "Really?")],
    [turn("user", "Weather?"), call("get_weather", {"place": "Zürich", "days": 3})],
    [turn("user", "Weather?"), call("get_weather", {"unit": "°C", "place": "O'Hare \"ORD\""}),
     turn("tool", "{\"temp\": 21.5}"), turn("assistant", "21.5 °C"), turn("user", "Thanks")],
    [turn("system", "Use tools."), turn("user", "Find"), call("search", {"terms": ["a", "b"], "limits": {"n": 1.0}}),
     turn("tool", "none"), turn("tool", "really none")],
    [turn("user", "Both"), call("search", {"terms": []}, content="Let me see."), turn("tool", "x"),
     turn("assistant", "done")],
    [turn("user", [{"type": "text", "text": "What is this?"}, {"type": "image"}])],
    [turn("unknown_role", "who?")],
    [turn("user", "a" * 300)],
    [turn("user", "a\r\nb\rc")],
    [turn("user", None)],
]

VARIABLES = [
    {"bos_token": "<s>", "eos_token": "</s>"},
    {"bos_token": "<|begin|>", "eos_token": "<|end|>", "tools": [WEATHER, SEARCH], "date_string": "01 Jan 2025"},
    {"bos_token": "", "eos_token": "<eos>", "builtin_tools": ["brave_search", "code_interpreter", "get_weather"],
     "tools": [SEARCH], "tools_in_user_message": False},
]
