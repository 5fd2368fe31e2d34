"""The page at "/" in a real Chromium, against a real server."""

import pathlib
import re
import time

import pytest

from serving import serving
from tenon_program import DEMO

VIEWS = ("chat", "pictures", "tensors", "models", "live")
KEY = "a-key-of-the-page"


def metric(server, name):
    text = server.ask(server.metrics, "GET", "/metrics")[2].decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + "{"))


def test_files_have_types_tags_and_a_policy(server):
    types = {"/": "text/html", "/playground/app.js": "text/javascript", "/playground/style.css": "text/css",
             "/playground/icon.svg": "image/svg+xml"}
    for port in (server.http, server.openai):
        for path, kind in types.items():
            status, headers, body = server.ask(port, "GET", path)
            assert status == 200 and body and headers["Content-Type"].startswith(kind)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"].startswith("default-src 'self';")
            tag = headers["ETag"]
            for known in (tag, f'"other", W/{tag}', "*"):
                status, headers, body = server.ask(port, "GET", path, headers={"If-None-Match": known})
                assert (status, body, headers["ETag"]) == (304, b"", tag)
            assert server.ask(port, "GET", path, headers={"If-None-Match": '"other"'})[0] == 200
        assert server.ask(port, "GET", "/playground/nothing.js")[0] == 404
        assert server.ask(port, "GET", "/playground/../etc/passwd")[0] in (400, 404)
        assert server.ask(port, "GET", "/playground")[1]["Location"] == "/"
    assert server.ask(server.metrics, "GET", "/")[0] == 404


def test_both_ports_serve_every_route(server):
    for port in (server.http, server.openai):
        for path in ("/v2", "/v1/models", "/metrics", "/health", "/v2/health/live", "/openapi.json"):
            assert server.ask(port, "GET", path)[0] == 200, path
        assert b'"type"' in server.ask(port, "GET", "/v1/nothing")[2]
        assert server.ask(port, "GET", "/v2/nothing")[2].startswith(b'{"error":"')


def test_loads_quietly_and_asks_nobody_else(page):
    for view in VIEWS:
        page.view(view)
        assert page.driver.title.endswith("Tenon")
        time.sleep(0.3)
    assert page.complaints() == []
    addresses = page.requested()
    assert len(addresses) > 15
    assert [one for one in addresses if not one.startswith((page.address, "data:", "blob:"))] == []


def test_chat_gives_the_answer_of_the_api(page, server):
    question = "What is 17 plus 25?"
    wanted = server.v1("POST", "/v1/chat/completions", {
        "model": "neox-instruct", "temperature": 0, "seed": 5, "max_tokens": 40,
        "messages": [{"role": "user", "content": question}]})["choices"][0]["message"]["content"]
    page.settings("neox-instruct", temperature=0, seed=5, max_tokens=40)
    page.say(question)
    assert [one["content"] for one in page.messages()] == [question, wanted]
    assert page.one(".turn.assistant .body").text == wanted.strip()
    assert re.search(r"\d+ tokens.* first after \d+\.\d\d s", page.one(".turn.assistant .note").text)
    assert wanted.strip() in page.by("announcer").get_attribute("textContent")
    page.open()  # the tab keeps it
    assert page.one(".turn.assistant .body").text == wanted.strip()
    assert page.complaints() == []


def test_a_model_without_template_continues_the_text(page, server):
    wanted = server.v1("POST", "/v1/completions", {
        "model": "llama-verse", "prompt": "The night is", "temperature": 0, "max_tokens": 24})["choices"][0]["text"]
    page.settings("llama-verse", temperature=0, max_tokens=24)
    page.say("The night is")
    assert page.messages()[1]["content"] == wanted
    assert page.by("chat-plain").is_displayed() and not page.by("chat-system").is_enabled()
    page.say(" and then")
    assert len(page.messages()) == 4


def test_stop_frees_the_place(page, server):
    page.settings("llama-verse", temperature=1, seed=1, max_tokens=480)
    page.say("The night is", wait=False)
    page.until("document.querySelector('.turn.assistant .body').textContent.length > 10")
    page.by("chat-stop").click()
    page.until("!document.getElementById('chat-send').hidden")
    assert "stopped" in page.one(".turn.assistant .note").text
    end = time.monotonic() + 10
    while metric(server, "vllm:num_requests_running") > 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert page.messages()[1]["content"]


def test_edit_and_try_again(page):
    page.settings("neox-instruct", temperature=0, max_tokens=20)
    page.say("What is 1 plus 1?")
    first = page.messages()[1]["content"]
    page.one("[aria-label='Answer message 2 anew']").click()
    page.until("!document.getElementById('chat-send').hidden")
    assert page.messages()[1]["content"] == first
    page.one("[aria-label='Edit message 1']").click()
    page.fill(".edit textarea", "What is 20 plus 22?")
    page.one(".edit .primary").click()
    page.until("!document.getElementById('chat-send').hidden")
    assert [one["role"] for one in page.messages()] == ["user", "assistant"]
    assert page.messages()[0]["content"] == "What is 20 plus 22?"
    page.by("chat-clear").click()
    assert page.all(".turn") == [] and page.by("chat-empty").is_displayed()


def test_an_error_says_what_to_do(page):
    page.settings("neox-instruct", temperature=0, max_tokens=20)
    page.js("document.getElementById('chat-prompt').value = 'too long '.repeat(2000)")
    page.say("")
    alert = page.by("chat-error")
    assert alert.is_displayed() and alert.get_attribute("role") == "alert"
    assert "The server cannot do this" in alert.text and "send it again" in alert.text


def test_what_a_model_writes_is_text(page):
    made = page.js("""
        const { markdown } = await import('./playground/markdown.js');
        const hostile = '<img src=x onerror="window.hit=1"><script>window.hit=1</script> **a** `b`\\n' +
            '- one\\n- two\\n\\n1. first\\n\\n# Head\\n```js\\nlet a = "<b>";\\n\\n- no list\\n```\\n[x](javascript:window.hit=1)';
        const box = document.createElement('div');
        box.append(...markdown(hostile));
        document.body.append(box);
        const names = [...box.querySelectorAll('*')].map((one) => one.localName);
        const code = box.querySelector('pre code').textContent;
        return { names, code, hit: window.hit ?? 0, text: box.textContent };""")
    assert made["names"] == ["p", "strong", "code", "ul", "li", "li", "ol", "li", "p", "pre", "code", "p"]
    assert made["code"] == 'let a = "<b>";\n\n- no list' and made["hit"] == 0
    assert '<img src=x onerror="window.hit=1"><script>' in made["text"]


def draw(page, **values):
    page.view("pictures")
    page.js("document.querySelector('#view-pictures .settings').open = true")
    page.fill("#picture-prompt", "a photo of a cat")
    for name, value in values.items():
        page.fill(f"#picture-form [name={name}]", value)
    page.by("picture-draw").click()


def test_a_picture_is_drawn(page):
    draw(page, steps=4, seed=7, n=2, size="32x32")
    page.until("document.querySelectorAll('#gallery img').length === 2")
    page.until("[...document.querySelectorAll('#gallery img')].every((one) => one.naturalWidth === 32)")
    page.one("#gallery summary").click()
    parameters = page.one("#gallery dl").text
    assert "Seed" in parameters and "7" in parameters and "Steps" in parameters
    page.fill("#picture-form [name=seed]", 99)
    page.click("#gallery .row button")
    assert page.one("#picture-form [name=seed]").get_attribute("value") == "7"
    link = page.one("#gallery a[download]")
    assert link.get_attribute("href").startswith("blob:") and link.get_attribute("download").endswith(".png")
    assert not page.by("picture-progress").is_displayed()
    assert page.complaints() == []


def test_previews_come_from_events(page):
    """As OpenAI streams pictures: previews, then the picture; cut at any byte."""
    made = page.js("""
        const { drawPictures } = await import('./playground/drawing.js');
        const events = [
            { type: 'image_generation.partial_image', b64_json: btoa('one'), partial_image_index: 0 },
            { type: 'image_generation.partial_image', b64_json: btoa('two'), step: 3, steps: 4 },
            { type: 'image_generation.completed', b64_json: btoa('whole'), size: '32x32' }];
        const text = events.map((one) => `event: ${one.type}\\r\\ndata: ${JSON.stringify(one)}\\r\\n\\r\\n`).join('');
        const bytes = new TextEncoder().encode(text);
        const sent = [];
        window.fetch = async (address, options) => {
            sent.push(JSON.parse(options.body));
            if (sent.length === 1) return new Response(
                JSON.stringify({ error: { message: '"stream" is not offered' } }), { status: 400 });
            const stream = new ReadableStream({ start(to) {
                for (const byte of bytes) to.enqueue(new Uint8Array([byte]));
                to.close(); } });
            return new Response(stream, { headers: { 'Content-Type': 'text/event-stream' } });
        };
        const seen = [];
        const made = await drawPictures({ prompt: 'p' }, undefined, (one) => seen.push([one.step, one.steps]));
        return { sent, seen, size: made.size, text: await Promise.all(made.pictures.map((one) => one.text())) };""")
    assert made["seen"] == [[1, 4], [3, 4]] and made["text"] == ["whole"] and made["size"] == "32x32"
    assert made["sent"][0]["stream"] is True and made["sent"][1] == {"prompt": "p"}


def test_a_picture_is_cancelled(page, server):
    draw(page, steps=200, n=4)
    page.until("!document.getElementById('picture-progress').hidden")
    page.by("picture-cancel").click()
    page.until("!document.getElementById('picture-draw').hidden")
    assert page.all("#gallery li") == [] and not page.by("picture-error").is_displayed()
    end = time.monotonic() + 20
    while metric(server, "nv_inference_pending_request_count") > 0:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_tensors_from_the_form_and_from_json(page):
    page.view("tensors")
    page.until("document.querySelectorAll('#tensor-inputs fieldset').length === 1")
    page.fill("#tensor-inputs textarea", "[1.5, -2]")
    page.by("tensor-run").click()
    page.until("document.querySelectorAll('.output').length === 1")
    assert page.one(".output h3").text == "DOUBLE" and page.one(".output pre").text.split() == ["3", "-4"]
    page.fill("#tensor-json", '{"inputs": [{"name": "A", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}]}')
    page.by("tensor-run").click()
    page.until("document.querySelector('.output pre').textContent.includes('8')")
    page.fill("#tensor-inputs textarea", "[1, 2, 3]")
    page.by("tensor-run").click()
    page.until("!document.getElementById('tensor-error').hidden")
    assert "3 elements" in page.by("tensor-error").text


def test_a_model_is_unloaded_and_loaded(page, server):
    page.view("models")
    page.until("document.querySelectorAll('#model-list > li').length === 4")
    page.click("[aria-label='Unload doubler']")
    page.until("document.querySelector('[data-model=doubler] .state').textContent.includes('Not loaded')")
    assert server.ask(server.http, "GET", "/v2/models/doubler")[0] in (400, 404)
    page.until("document.activeElement.ariaLabel === 'Load doubler'")
    page.view("tensors")
    assert page.by("tensor-none").is_displayed() and not page.by("tensor-run").is_enabled()
    page.view("models")
    page.click("[aria-label='Load doubler']")
    page.until("document.querySelector('[data-model=doubler] .state').textContent.includes('Ready')")
    assert server.v2("GET", "/v2/models/doubler")["name"] == "doubler"
    page.click("[aria-label='Reload doubler']")
    page.until("document.querySelector('[data-model=doubler] .state').textContent.includes('Ready')")


def test_charts_show_numbers_while_they_are_looked_at(page):
    page.view("live")
    page.until("[...document.querySelectorAll('.chart .now')].every((one) => /\\d/.test(one.textContent))")
    # Two connections of the browser's six, so that its looks at the numbers do not wait for them.
    page.js("""
        window.isLoading = true;
        const load = async () => {
            while (window.isLoading)
                await fetch('v1/completions', {method: 'POST', body: JSON.stringify(
                    {model: 'llama-verse', prompt: 'The', max_tokens: 400, ignore_eos: true, n: 3})});
        };
        load(); load();""")
    running = "[...document.querySelectorAll('.chart')].find((one) => one.textContent.startsWith('Running batch'))"
    page.until(f"{running}.querySelector('.now').textContent >= '1'")
    page.js("window.isLoading = false")
    label = page.js(f"return {running}.querySelector('svg').getAttribute('aria-label')")
    assert re.fullmatch(r"Running batch: now \d+, between \d+ and \d+ in the last two minutes", label)
    assert page.js("return [...document.querySelectorAll('.chart path.line')].every((one) => /^M[\\d. LM]+$/.test(one.getAttribute('d')))")
    page.view("chat")
    page.requested()
    time.sleep(2.5)
    assert page.requested() == []  # nobody looks
    assert page.complaints() == []


@pytest.mark.parametrize("width", [320, 360, 390, 1280])
def test_no_width_needs_sideways_scrolling(page, width):
    page.size(width, 740)
    page.say("What is 1 plus 1? " + "x" * 200)
    for view in VIEWS:
        page.view(view)
        page.js("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert page.js("return document.documentElement.scrollWidth") <= width, view
        outside = page.js("""
            return [...document.querySelectorAll('a, button, input, select, textarea, summary')]
                .filter((one) => one.checkVisibility() && one.id !== 'skip')
                .filter((one) => { const box = one.getBoundingClientRect();
                                   return box.left < 0 || box.right > innerWidth + 0.5 || box.height < 24; })
                .map((one) => one.outerHTML.slice(0, 80));""")
        assert outside == [], view


def focused(page):
    return page.js("const one = document.activeElement; return one === document.body ? 'body' : one.id || one.textContent.trim() || one.localName")


def press(page, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page.driver).send_keys(*keys).perform()


def test_all_works_by_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    page.js("document.getElementById('chat-model').value = 'neox-instruct'; document.body.focus()")
    walked = []
    for _ in range(40):
        press(page, Keys.TAB)
        walked.append(focused(page))
        visible = page.js("""
            const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
            return box.width > 0 && box.bottom > 0 && box.top < innerHeight && style.outlineStyle !== 'none';""")
        assert visible or walked[-1] in ("body", "skip"), walked
        if walked[-1] == "body":
            break
    assert walked[:6] == ["skip", "Chat", "Pictures", "Tensors", "Models", "Live"]
    for name in ("chat-prompt", "chat-send", "chat-model", "chat-system", "chat-stops"):
        assert name in walked
    page.open()
    press(page, Keys.TAB, Keys.ENTER)  # the skip link
    assert focused(page) == "main"
    page.by("chat-prompt")
    while focused(page) != "chat-prompt":
        press(page, Keys.TAB)
    press(page, "What is 2 plus 2?", Keys.ENTER)
    page.until("document.querySelector('.turn.assistant .note') !== null")
    assert focused(page) == "chat-prompt"
    page.js("document.querySelector('nav a[href=\"#models\"]').focus()")
    press(page, Keys.ENTER)
    page.until("document.activeElement.id === 'models-title'")


def test_less_motion_is_respected(page):
    page.prefer(scheme="light", motion="reduce")
    page.open("live")
    page.until("document.querySelector('.chart .now').textContent !== ''")
    page.requested()
    time.sleep(3)
    assert len([one for one in page.requested() if one.endswith("/metrics")]) <= 1
    assert page.js("return getComputedStyle(document.getElementById('models-refresh')).transitionDuration") == "0s"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_accessible(page, scheme, width):
    """The rules of axe-core, WCAG 2.2 AA among them, find nothing; contrast is one of them."""
    axe = pytest.importorskip("axe_core_python")
    source = (pathlib.Path(axe.__file__).parent / "axe.min.js").read_text()
    page.size(width, 800)
    page.prefer(scheme=scheme, motion="no-preference")
    page.open()
    page.say("What is 1 plus 1?")
    draw(page, steps=2, size="32x32")
    page.until("document.querySelectorAll('#gallery img').length === 1")
    for view in VIEWS:
        page.view(view)
        page.js("document.querySelectorAll('details').forEach((one) => one.open = true)")
        if view == "tensors":
            page.by("tensor-run").click()
            page.until("document.querySelectorAll('.output').length === 1")
        page.js("if (!window.axe) { " + source + " }")
        found = page.driver.execute_async_script("""
            const done = arguments[0];
            axe.run(document, { resultTypes: ['violations'] }).then((found) => done(
                found.violations.map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 120))])));""")
        assert found == [], view


def test_the_page_works_with_a_key(chromium, doubler, tmp_path):
    from page import Page

    keys = tmp_path / "keys"
    keys.write_text(KEY + "\n")
    with serving(DEMO / "neox-instruct", doubler, "--api-key-file", keys, key=KEY) as server:
        status, headers, _ = server.ask(server.openai, "GET", "/", headers={"Accept": "text/html"})
        assert status == 401 and headers["WWW-Authenticate"].startswith("Basic ")
        assert server.ask(server.openai, "GET", "/playground/app.js")[0] == 401
        # As if a person had entered it: from then on the browser gives it by itself.
        chromium.get(f"http://me:{KEY}@127.0.0.1:{server.openai}/")
        page = Page(chromium, f"http://127.0.0.1:{server.openai}/")
        page.size(1280, 900)
        page.open()
        page.settings("neox-instruct", temperature=0, max_tokens=20)
        page.say("What is 17 plus 25?")
        assert page.messages()[1]["content"].strip() == "17 plus 25 is 42."
        assert page.complaints() == []
        chromium.execute_script("sessionStorage.clear()")
        chromium.get("about:blank")
    assert KEY not in "".join(server.log)
