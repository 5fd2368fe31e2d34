"""The playground in a Chromium, as a person uses it."""

import json
import os
import shutil
import time

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

PATIENCE_S = 60


def start_chromium():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


class Page:
    def __init__(self, driver, address):
        self.driver, self.address = driver, address

    def open(self, view="chat"):
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(f"{self.address}#{view}")
        self.driver.refresh()
        self.until("document.getElementById('summary').textContent.includes('ready')")

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})

    def prefer(self, scheme, motion):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]})

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, condition, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while not self.js(f"return {condition}"):
            assert time.monotonic() < end, f"not within {seconds} s: {condition}"
            time.sleep(0.05)

    def by(self, name):
        return self.driver.find_element(By.ID, name)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def view(self, name):
        self.one(f'nav a[href="#{name}"]').click()
        self.until(f"!document.getElementById('view-{name}').hidden")

    def click(self, selector):
        """In one go, for what is drawn anew at any time."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        self.js("document.querySelector(arguments[0]).click()", selector)

    def fill(self, selector, value):
        field = self.one(selector)
        field.clear()
        field.send_keys(str(value))

    def choose(self, name, value):
        self.one(f"#{name} option[value='{value}']").click()

    def settings(self, model, **values):
        self.choose("chat-model", model)
        for name, value in values.items():
            self.fill(f"#chat-settings [name={name}]", value)

    def say(self, text, wait=True):
        self.by("chat-prompt").send_keys(text, Keys.ENTER)
        if wait:
            self.until("!document.getElementById('chat-send').hidden")

    def messages(self):
        return self.js("return JSON.parse(sessionStorage.getItem('tenon.chat')).messages")

    def complaints(self):
        """What the browser's console holds: errors, violations of the policy, failed requests."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self):
        """The addresses that were asked for since the page was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
