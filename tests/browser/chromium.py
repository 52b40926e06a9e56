"""Drives Debian's chromium over its debugging pipe: nothing to install beside it and Python."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time


class Browser:
    """A headless browser with one page and a profile of its own."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="tranship-chromium-")
        to_browser, self.out = os.pipe()
        self.back, from_browser = os.pipe()
        # The browser reads commands from 3 and writes answers to 4.
        command = [os.environ.get("TRANSHIP_TEST_BROWSER", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                   "--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-pipe",
                   f"--user-data-dir={self.profile}", "about:blank"]
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(["bash", "-c", shell, "bash", *command], pass_fds=[to_browser, from_browser],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=10)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _read(self):
        while b"\0" not in self.buffer:
            chunk = os.read(self.back, 1 << 16)
            if not chunk:
                raise RuntimeError("the browser went away")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, **parameters):
        self.number += 1
        asked = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            asked["sessionId"] = self.session
        os.write(self.out, json.dumps(asked).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, script):
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, script, what):
        """Waits until a script says something true, and returns it. Pages may come and go meanwhile."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                value = self.evaluate(script)
            except RuntimeError:
                value = None
            if value:
                return value
            time.sleep(0.05)
        raise RuntimeError(f"{what} did not happen on {self.evaluate('location.href')}: {self.text()[:600]}")

    def open(self, url):
        self.evaluate("window.left = true")
        self.call("Page.navigate", url=url)
        self.until("!window.left && document.readyState === 'complete'", f"opening {url}")

    def leave(self, script):
        """Does what leads to another page, and waits for that."""
        self.evaluate("window.left = true")
        self.evaluate(script)
        self.until("!window.left && document.readyState === 'complete'", script)

    def press(self, label):
        """Follows the link or presses the button with this text."""
        find = (f"[...document.querySelectorAll('main a, main button, header a, header button')]"
                f".find(one => one.textContent.trim() === {json.dumps(label)})")
        if not self.evaluate(f"!!{find}"):
            raise RuntimeError(f"no `{label}` on {self.evaluate('location.href')}: {self.text()[:600]}")
        self.leave(f"{find}.click()")

    def text(self):
        return self.evaluate("document.body.innerText") or ""

    def look(self, dark=False, width=1280, height=800, scripts=True):
        """How the next page is looked at."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def shot(self, path, whole=True):
        """A picture of the page, of the kind that its name ends with."""
        kind = {"format": "webp", "quality": 70} if str(path).endswith(".webp") else {"format": "png"}
        picture = self.call("Page.captureScreenshot", **kind, captureBeyondViewport=whole,
                            **({"clip": self._clip()} if whole else {}))
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))

    def _clip(self):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}

    def complaints(self):
        """What the browser logged as errors: refused by the policy, not found, thrown."""
        said = []
        for event in self.events:
            entry = event.get("params", {}).get("entry", {})
            if event.get("method") == "Log.entryAdded" and entry.get("level") == "error":
                said.append(f"{entry.get('text')} ({entry.get('url')})")
            if event.get("method") == "Runtime.exceptionThrown":
                said.append(json.dumps(event["params"]["exceptionDetails"])[:400])
        self.events = []
        return said
