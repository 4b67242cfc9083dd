#!/usr/bin/python3
"""Looks at the guest of qemu-guest.s with spice-gtk's library and prints what it saw, as JSON.

watch-qemu.py URI KEYS SECONDS PID...

keys: milliseconds from each of so many key presses to the moment when all of the change is in the framebuffer;
text and video, for as many seconds each: ms, processor time of these processes a second; kB, what the display
channel received a second; seen, how many times a second there was something new.
"""
import ctypes
import json
import os
import pathlib
import sys
import time

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import GLib, GObject, SpiceClientGLib as Spice  # noqa: E402

A, I, T, V = 0x1e, 0x17, 0x14, 0x2f
# The first letter that a key changes and the last one: pixels that are background in any of them.
CORNERS = [(0, 0), (79 * 9, 7 * 16)]
# Between two keys, in milliseconds: no multiple of the 30 ms in which QEMU looks for changes.
GAP = 137
# What follows within so many seconds belongs to the same picture.
TOGETHER = 0.008
SETTLE = 1500

# Sessions and channels have a `connect` of their own, which hides the one for signals.
on = GObject.Object.connect


class Watch:
    def __init__(self, uri, keys, seconds, pids):
        self.keys, self.seconds, self.pids = keys, seconds, pids
        self.surface = self.pressed = self.inputs = self.display = None
        self.ms, self.answer = [], {}
        self.seen, self.last = 0, 0.0
        self.loop = GLib.MainLoop()
        session = Spice.Session()
        session.set_property("uri", uri)
        session.set_property("enable-audio", False)
        on(session, "channel-new", self.channel)
        GLib.timeout_add(SETTLE, self.rest)
        GLib.timeout_add_seconds(60 + keys + 3 * seconds, self.loop.quit)
        session.connect()
        self.loop.run()
        session.disconnect()

    def channel(self, _session, channel):
        if isinstance(channel, Spice.DisplayChannel):
            self.display = channel
            on(channel, "display-primary-create", self.primary)
            on(channel, "display-invalidate", self.draw)
        if isinstance(channel, Spice.InputsChannel):
            self.inputs = channel
        channel.connect()

    def primary(self, _channel, _format, _width, _height, stride, _shmid, pixels):
        self.surface = (pixels, stride)

    def draw(self, *_):
        now = time.monotonic()
        self.seen += now - self.last > TOGETHER
        self.last = now
        if self.pressed and all(one != two for one, two in zip(self.before, self.corners())):
            self.ms.append((now - self.pressed) * 1000)
            self.pressed = None
            GLib.timeout_add(GAP, self.press)

    def corners(self):
        pixels, stride = self.surface
        return [ctypes.c_uint32.from_address(pixels + y * stride + x * 4).value & 0xffffff for x, y in CORNERS]

    def rest(self):
        self.inputs.key_press_and_release(I)
        GLib.timeout_add(SETTLE, self.press)

    def press(self):
        if len(self.ms) == self.keys:
            self.answer["keys"] = self.ms
            self.measure("text", T, lambda: self.measure("video", V, self.loop.quit))
            return
        self.before, self.pressed = self.corners(), time.monotonic()
        self.inputs.key_press_and_release(A)

    def measure(self, name, key, then):
        self.inputs.key_press_and_release(key)
        now = lambda: (time.monotonic(), self.cpu(), self.display.get_property("total-read-bytes"), self.seen)

        def begin():
            start = now()

            def end():
                seconds, cpu, size, seen = (after - before for after, before in zip(now(), start))
                self.answer[name] = {"ms": cpu * 1000 / seconds, "kB": size / 1000 / seconds, "seen": seen / seconds}
                then()

            GLib.timeout_add(int(self.seconds * 1000), end)

        GLib.timeout_add(SETTLE, begin)

    def cpu(self):
        total = 0
        for pid in self.pids:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")


uri, keys, seconds, *pids = sys.argv[1:]
answer = Watch(uri, int(keys), int(seconds), pids).answer
if len(answer) < 3:
    sys.exit("the guest was not seen in time")
print(json.dumps(answer))
