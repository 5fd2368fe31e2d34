#!/usr/bin/env python3
"""Records what Jinja2, set up as transformers sets it up, makes of chat templates and expressions.

Usage: record.py  (writes conversations.json and expressions.json beside itself)
A result is {"text": ...} or, where Jinja2 refuses the template or raises, {"error": true}.
"""
import json
import pathlib

from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

from conversations import CONVERSATIONS, VARIABLES
from expressions import BRACES, CONTEXT, STATEMENTS
from templates import TEMPLATES

HERE = pathlib.Path(__file__).parent


def attempt(render):
    try:
        return {"text": render()}
    except Exception as error:  # whatever Python raises, the caller of a template sees a refusal
        return {"error": f"{type(error).__name__}: {error}"[:60]}


def chat_cases():
    for name, source in TEMPLATES.items():
        for i, messages in enumerate(CONVERSATIONS):
            for j, variables in enumerate(VARIABLES):
                prompt = (i + j) % 3 != 0
                variables = dict(variables)
                result = attempt(lambda: render_jinja_template([messages], chat_template=source,
                                                               add_generation_prompt=prompt, **variables)[0][0])
                yield {"template": name, "conversation": i, "variables": j, "prompt": prompt, **result}


def expression_cases():
    for source in ["{{ " + body + " }}" for body in BRACES] + STATEMENTS:
        yield {"source": source, **attempt(lambda: _compile_jinja_template(source).render(**CONTEXT))}


def write(name, head, cases):
    lines = [json.dumps(case, ensure_ascii=False) for case in cases]
    head = json.dumps(head, ensure_ascii=False, indent=0)[:-2]
    (HERE / name).write_text(head + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    print(name, len(lines), "cases,", sum('"error"' in line for line in lines), "refused")


if __name__ == "__main__":
    write("conversations.json", {"templates": TEMPLATES, "conversations": CONVERSATIONS, "variables": VARIABLES}, chat_cases())
    write("expressions.json", {"context": CONTEXT}, expression_cases())
