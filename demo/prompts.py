"""The instruction demo's prompt, in one place: Dolly's, without context."""
INTRO = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
INSTRUCTION_KEY, RESPONSE_KEY, END_KEY = "### Instruction:", "### Response:\n", "### End"

CHAT_TEMPLATE = (
    INTRO + "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '\\n\\n" + INSTRUCTION_KEY + "\\n' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}{{ '\\n\\n### Response:\\n' + message['content'] + '\\n\\n" + END_KEY + "' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}")


def prompt(instruction):
    return f"{INTRO}\n\n{INSTRUCTION_KEY}\n{instruction}\n\n{RESPONSE_KEY}"
