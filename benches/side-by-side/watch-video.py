#!/usr/bin/python3
"""Watches a stamped film with spice-gtk's library and prints what reached the framebuffer, as JSON.

watch-video.py URI WARM_UP SECONDS

frames: different pictures seen; seconds: how long it looked, after WARM_UP seconds; ms: milliseconds
from a picture's submission (its stamp) to the moment it was there, one number a picture; at: when that
was, in seconds of the monotonic clock; bytes: what the display channel received meanwhile.
"""
import ctypes
import json
import sys
import time

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import GLib, GObject, SpiceClientGLib as Spice  # noqa: E402

# Sessions and channels have a `connect` of their own, which hides the one for signals.
on = GObject.Object.connect


class Watch:
    def __init__(self, uri, warm_up, seconds):
        self.surface = None
        self.last = None
        self.ms = []
        self.at = []
        self.begin = None
        self.loop = GLib.MainLoop()
        session = Spice.Session()
        session.set_property("uri", uri)
        session.set_property("enable-audio", False)
        on(session, "channel-new", self.channel)
        GLib.timeout_add(int(warm_up * 1000), self.start)
        GLib.timeout_add(int((warm_up + seconds) * 1000), self.loop.quit)
        session.connect()
        self.loop.run()
        self.seconds = time.monotonic() - self.begin
        self.bytes = self.display.get_property("total-read-bytes") - self.bytes_before
        session.disconnect()

    def start(self):
        self.ms.clear()
        self.at.clear()
        self.begin = time.monotonic()
        self.bytes_before = self.display.get_property("total-read-bytes")

    def channel(self, _session, channel):
        if isinstance(channel, Spice.DisplayChannel):
            self.display = channel
            on(channel, "display-primary-create", self.primary)
            on(channel, "display-invalidate", self.draw)
        channel.connect()

    def primary(self, _channel, _format, _width, _height, stride, _shmid, pixels):
        self.surface = (pixels, stride)

    def draw(self, *_):
        now = time.monotonic_ns() // 1000
        stamp = self.stamp()
        age = (now - stamp[1]) % 2**40 if stamp else 2**39
        # A stamp that is only partly drawn may look whole: what is later is right.
        if age >= 2**39 or stamp == self.last:
            return
        if self.last and stamp[0] == self.last[0] and self.ms:
            self.ms.pop()
            self.at.pop()
        self.last = stamp
        self.ms.append(age / 1000)
        self.at.append(now / 1e6)

    def stamp(self):
        """Number and microseconds, from the middle of each of the stamp's blocks."""
        pixels, stride = self.surface
        bits = 0
        for n in range(80):
            x, y = n % 16 * 16 + 8, n // 16 * 16 + 8
            bits = bits << 1 | (ctypes.c_uint8.from_address(pixels + y * stride + x * 4).value > 127)
        data = bits.to_bytes(10, "big")
        check = 0
        for byte in data:
            check ^= byte
        if data[0] != 0xA5 or check:
            return None
        return int.from_bytes(data[1:4], "big"), int.from_bytes(data[4:9], "big")


seen = Watch(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
figures = {"frames": len(seen.ms), "seconds": seen.seconds, "ms": seen.ms, "at": seen.at, "bytes": seen.bytes}
print(json.dumps(figures))
