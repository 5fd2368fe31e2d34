"""Records which texts match: JSON documents under schemas, judged by the package jsonschema, and texts under regular
expressions, judged by Python's re. Run with a Python that has `jsonschema[format-nongpl]`; writes cases.json.gz beside
it."""

import gzip
import json
import pathlib
import random
import re
import string

import jsonschema

FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER
RANDOM = random.Random(20)

ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
           "required": ["street", "zip"], "additionalProperties": False}

SCHEMAS = {
    "person": {"type": "object", "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "email": {"type": "string", "format": "email"}, "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "kind": {"enum": ["user", "admin", None, 7]}, "address": ADDRESS},
        "required": ["name", "kind"], "additionalProperties": False},
    "tree": {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
        "value": {"type": "integer"}, "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        "right": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["value"], "additionalProperties": False}}},
    "list": {"type": "array", "items": {"$ref": "#"}, "minItems": 0, "maxItems": 3},
    "numbers": {"type": "object", "properties": {
        "a": {"type": "integer", "minimum": -17, "maximum": 203}, "b": {"type": "integer", "exclusiveMinimum": 9, "exclusiveMaximum": 1000},
        "c": {"type": "number", "minimum": -2, "maximum": 10}, "d": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "e": {"type": "integer", "maximum": -5}, "f": {"type": "integer", "minimum": 1.5}, "g": {"type": "number"}},
        "additionalProperties": False},
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}, {"const": {"x": [1, 2]}}], "items": {"type": "null"},
              "minItems": 1, "maxItems": 5},
    "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}], "items": False, "minItems": 2},
    "open": {"type": "object", "properties": {"id": {"type": "integer"}, "ident": {"type": "string"}}, "required": ["id"],
             "additionalProperties": {"type": "boolean"}},
    "map": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
    "shapes": {"oneOf": [
        {"type": "object", "properties": {"kind": {"const": "circle"}, "r": {"type": "number", "minimum": 0}}, "required": ["kind", "r"], "additionalProperties": False},
        {"type": "object", "properties": {"kind": {"const": "box"}, "w": {"type": "integer"}}, "required": ["kind"], "additionalProperties": False},
        {"type": "string"}]},
    "formats": {"type": "object", "properties": {name: {"type": "string", "format": name} for name in
                ["date", "time", "date-time", "duration", "uuid", "email", "ipv4", "ipv6"]}, "additionalProperties": False},
    "patterns": {"type": "object", "properties": {
        "a": {"type": "string", "pattern": "^(ab|c)+$"}, "b": {"type": "string", "pattern": "x[0-9]{2}"},
        "c": {"type": "string", "pattern": "^\\w+\\s\"[^\\\\]$"}, "d": {"type": "string", "pattern": "^é.?|z$"}}, "additionalProperties": False},
    "lengths": {"type": "array", "items": {"type": "string", "minLength": 2, "maxLength": 4}, "minItems": 1, "maxItems": 2},
    "anything": True,
    "mixed": {"type": ["string", "integer", "array"], "maxLength": 3, "maximum": 9, "maxItems": 1},
}

REGEXES = ["", "a", "abc", "a|b|cd", "(ab)*", "a+b?c*", "[a-c]{2,4}", "[^a-c]", ".", "a.c", r"\d{3}-\d{4}", r"\w+@\w+\.(com|org)",
           "(a|b)*abb", "(?:x|y(?:z|w)){2}", r"[\w.-]+", r"\[\]\{\}", "a{2}", "a{,2}", "a{2,}", "x*?y+?", r"[\d\-x]+", "^ab$", "(?P<n>a)b",
           "é+|ü", r"\u00e9?z", "(a?){3}", "((a*)*)*b", r"[^\n]*", "a|", r"\S\s\D", "[]a]?".replace("[]a]", r"[\]a]")]


def word(alphabet, most):
    return "".join(RANDOM.choice(alphabet) for _ in range(RANDOM.randint(0, most)))


SAMPLES = {
    "date": ["2024-02-29", "2023-02-29", "1999-12-31", "2020-04-31", "2000-02-29", "1900-02-29", "20-01-01"],
    "time": ["12:00:00Z", "23:59:59.5+01:00", "24:00:00Z", "12:00:00", "12:60:00Z"],
    "date-time": ["2024-02-29T12:00:00Z", "2023-02-29T12:00:00Z", "2024-01-01 12:00:00Z", "2024-01-01T01:02:03.25-10:30"],
    "duration": ["P1Y", "P1DT2H", "PT5M", "P", "P1W", "1D", "PT", "P1Y2M3D"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000", "x"],
    "email": ["a@b.co", "a.b+c@d-e.org", "nobody"],
    "ipv4": ["1.2.3.4", "255.255.255.255", "256.1.1.1", "1.2.3", "0.0.0.0", "01.2.3.4"],
    "ipv6": ["1:2:3:4:5:6:7:8", "1:2:3", "abcd:0:0:0:0:0:0:1", "12345:1:1:1:1:1:1:1"],
}


def resolve(schema, root):
    while isinstance(schema, dict) and "$ref" in schema:
        target = root
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part] if part else target
        schema = target
    return schema


def generate(schema, root, depth=0):
    """A document that is mostly right, so that both answers come up."""
    schema = resolve(schema, root)
    if schema is True or schema is False or RANDOM.random() < 0.03:
        return RANDOM.choice([None, True, 1, -2.5, "x\n\"é\\", [], [1, "a"], {}, {"k": [None]}, 1e100])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return generate(schema[key][1 if depth > 3 and len(schema[key]) > 1 else RANDOM.randrange(len(schema[key]))], root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return RANDOM.choice(schema["enum"])
    kind = schema.get("type", "object")
    kind = RANDOM.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        made = {}
        for name, inner in schema.get("properties", {}).items():
            need = name in schema.get("required", [])
            if RANDOM.random() < (0.97 if need else 0.45 if depth < 3 else 0.1):
                made[name] = generate(inner, root, depth + 1)
        if isinstance(schema.get("additionalProperties"), dict) or RANDOM.random() < 0.04:
            for _ in range(RANDOM.randint(0, 2)):
                name = RANDOM.choice(["i", "idx", "ide", "identy", "z", "", "é", "a\"b", "id ", "other"])
                more = schema.get("additionalProperties", True)
                made.setdefault(name, generate(more, root, depth + 1))
        return made
    if kind == "array":
        first = schema.get("prefixItems", [])
        count = RANDOM.randint(0, min(schema.get("maxItems", 4), 4) + (RANDOM.random() < 0.1)) if depth < 4 else 0
        made = [generate(inner, root, depth + 1) for inner in first[:count]]
        return made + [generate(schema.get("items", True), root, depth + 1) for _ in range(count - len(made))]
    if kind == "string":
        if "format" in schema:
            return RANDOM.choice(SAMPLES[schema["format"]])
        if "pattern" in schema:
            return RANDOM.choice(["ab", "abc", "c", "cab", "x12", "ax99z", "x1", "w \"é", "wo\t\"x", "é", "éa", "z", "az", "12345", "1234", ""])
        return word("ab c\"\\\n\té😀/", schema.get("maxLength", 5) + 1)
    if kind == "integer":
        return RANDOM.choice([0, 1, -1, 9, 10, 11, 99, 100, 130, 131, 203, 204, -17, -18, -5, -4, 999, 1000, 2, -12345678, RANDOM.randint(-300, 1200)])
    if kind == "number":
        return RANDOM.choice([0, 0.5, -0.25, 1, 1.0, 0.999, 10, 10.5, -2, -2.0, -2.5, 9.75, 3, -1.5, 11, 0.0, 1e-7])
    return {"boolean": RANDOM.random() < 0.5, "null": None}[kind]


def spelled(document):
    style = RANDOM.randrange(4)
    if style == 0:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if style == 1:
        return json.dumps(document, ensure_ascii=False)
    return json.dumps(document, ensure_ascii=False, indent=RANDOM.choice([0, 1, 2, 4]))


def mutate(text):
    at = RANDOM.randrange(len(text) + 1)
    kind = RANDOM.randrange(4)
    extra = RANDOM.choice('{}[]",:0123456789-.eE \n\\abtruefalsn')
    if kind == 0:
        return text[:at] + extra + text[at:]
    if kind == 1:
        return text[:at] + text[at + 1:]
    if kind == 2:
        return text[:at] + extra + text[at + 1:]
    return text[:at]


def unique(pairs):
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def refuse_constant(name):
    raise ValueError(name)


def judge(validator, text):
    """1: valid, 0: not valid, None: valid, but with a number in a spelling that is not generated for an integer or
    between bounds (1.0, 1e-7), so nothing is asked."""
    numbers = []
    try:
        document = json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant,
                              parse_float=lambda spelled: numbers.append(spelled) or float(spelled))
    except (ValueError, RecursionError):
        return 0
    if not validator.is_valid(document):
        return 0
    return None if any("e" in spelled.lower() or float(spelled) % 1 == 0 for spelled in numbers) else 1


def schema_cases():
    for name, schema in SCHEMAS.items():
        validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
        valid, invalid = set(), set()
        for _ in range(260):
            text = spelled(generate(schema, schema))
            verdict = judge(validator, text)
            if verdict is not None:
                (valid if verdict else invalid).add(text)
            # A changed text that is valid may be spelled or ordered in a way that is not generated.
            changed = mutate(text)
            if judge(validator, changed) == 0:
                invalid.add(changed)
        yield {"name": name, "schema": schema, "valid": sorted(valid), "invalid": sorted(invalid)}


def regex_cases():
    for pattern in REGEXES:
        compiled = re.compile(pattern, re.ASCII)
        letters = sorted(set(c for c in pattern if c not in "\\()*?{}|^$") | set("ab1 _\né"))
        texts = {word(letters, 6) for _ in range(150)} | {"", "abb", "aabb", "com", "a@b.com", "555-1234", "[]{}", "yzyw", "xx"}
        yield {"pattern": pattern, "texts": {text: int(compiled.fullmatch(text) is not None) for text in sorted(texts)}}


def main():
    cases = {"schemas": list(schema_cases()), "regexes": list(regex_cases())}
    data = json.dumps(cases, ensure_ascii=False).encode()
    pathlib.Path(__file__).with_name("cases.json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    for case in cases["schemas"]:
        print(case["name"], len(case["valid"]), "valid", len(case["invalid"]), "invalid")
    print(len(data), "bytes")


main()
