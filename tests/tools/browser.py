#!/usr/bin/python3
"""A browser for tests: headless Chromium, driven over its debugging pipe, with spice-html5 in it.

browser.py [--ca-file FILE]

Trusts nothing but that CA beside what the system trusts. Says one JSON object a line on standard
output, its `event` one of: ready, done or failed (command, text) after each command.

Does what standard input says, one command a line:
    open URL            a page of spice-html5, until it shows a surface
    key press NUMBER [TIMES]    the browser's key code: 13 is Enter, 65 is A
    dump FILE           surface 0 as a PPM file
    screenshot FILE     the page as a PNG file
Ends when standard input does.
"""
import base64
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--force-color-profile=srgb", "--window-size=1280,900", "--remote-debugging-pipe"]
# What the debugging protocol's pipe is numbered: what Chromium reads, and what it writes.
READS, WRITES = 3, 4
# The page gives up when its server is slow, on a busy machine; each time it has this long.
TRIES, SECONDS = 3, 15

SURFACE = "document.getElementById('spice_surface_0')"
PIXELS = """(() => {
    const canvas = %s;
    const rgba = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const rgb = new Uint8Array(rgba.length / 4 * 3);
    for (let n = 0; n < rgba.length / 4; n++)
        rgb.set(rgba.subarray(4 * n, 4 * n + 3), 3 * n);
    let text = '';
    for (let n = 0; n < rgb.length; n += 30000)
        text += String.fromCharCode.apply(null, rgb.subarray(n, n + 30000));
    return [canvas.width, canvas.height, btoa(text)];
})()""" % SURFACE


class Browser:
    def __init__(self, folder):
        to_read, self.write = os.pipe()
        self.read, to_write = os.pipe()
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_read, to_write)]

        def number():
            for fd, wanted in zip(ends, (READS, WRITES)):
                os.dup2(fd, wanted)

        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen(
                ["chromium", *OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
                env={**os.environ, "HOME": str(folder)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=(READS, WRITES), preexec_fn=number)
        for fd in (to_read, to_write, *ends):
            os.close(fd)
        self.said = b""
        self.number = 0
        self.session = None
        page = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.ask("Page.enable")

    def ask(self, method, **parameters):
        """Says something and waits for the answer; what it says besides is not for us."""
        self.number += 1
        session = {"sessionId": self.session} if self.session else {}
        message = {"id": self.number, "method": method, "params": parameters, **session}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.said:
                more = os.read(self.read, 1 << 20)
                if not more:
                    raise RuntimeError("Chromium ended")
                self.said += more
            message, _, self.said = self.said.partition(b"\0")
            message = json.loads(message)
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def evaluate(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    def open(self, url):
        for _ in range(TRIES):
            went = self.ask("Page.navigate", url=url)
            if "errorText" in went:
                raise RuntimeError(went["errorText"])
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                if self.evaluate(f"location.href === {json.dumps(url)} && !!{SURFACE}"):
                    return
                time.sleep(0.1)
        raise RuntimeError(f"{url} shows no surface: {self.evaluate('document.body.innerText')}")

    def key(self, _press, code, times=1):
        self.evaluate(f"{SURFACE}.focus()")
        for _ in range(int(times)):
            for way in ["rawKeyDown", "keyUp"]:
                self.ask("Input.dispatchKeyEvent", type=way, windowsVirtualKeyCode=int(code))

    def dump(self, file):
        width, height, pixels = self.evaluate(PIXELS)
        pathlib.Path(file).write_bytes(b"P6 %d %d 255\n" % (width, height) + base64.b64decode(pixels))

    def screenshot(self, file):
        shot = self.ask("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(file).write_bytes(base64.b64decode(shot))

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def trust(folder, ca):
    """Chromium takes its own CAs from this data base in the user's home."""
    base = folder / ".pki" / "nssdb"
    base.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "ca", "-i", ca]):
        subprocess.run(["certutil", "-d", f"sql:{base}", *words], check=True, stdout=subprocess.DEVNULL)


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    browser = None
    try:
        if "--ca-file" in sys.argv:
            trust(folder, sys.argv[sys.argv.index("--ca-file") + 1])
        browser = Browser(folder)
        say("ready")
        for line in sys.stdin:
            verb, *words = line.split()
            try:
                getattr(browser, verb)(*words)
                say("done", command=verb)
            except RuntimeError as error:
                say("failed", command=verb, text=str(error))
    finally:
        if browser:
            browser.end()
        shutil.rmtree(folder, ignore_errors=True)


main()
