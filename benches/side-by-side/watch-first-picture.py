#!/usr/bin/python3
"""Connects once with spice-gtk's library and prints the milliseconds until the whole picture is there.

watch-first-picture.py URI
"""
import sys
import time

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import GLib, GObject, SpiceClientGLib as Spice  # noqa: E402

SETTLE_MS = 300

# Sessions and channels have a `connect` of their own, which hides the one for signals.
on = GObject.Object.connect


class Watch:
    def __init__(self, uri):
        self.loop = GLib.MainLoop()
        self.rows = None
        self.shown = False
        self.ms = None
        session = Spice.Session()
        session.set_property("uri", uri)
        session.set_property("enable-audio", False)
        on(session, "channel-new", self.channel)
        GLib.timeout_add_seconds(10, self.loop.quit)
        self.start = time.monotonic()
        session.connect()
        self.loop.run()
        session.disconnect()

    def channel(self, _session, channel):
        if isinstance(channel, Spice.DisplayChannel):
            on(channel, "display-primary-create", self.primary)
            on(channel, "display-invalidate", self.draw)
        channel.connect()

    def primary(self, _channel, _format, width, height, *_rest):
        self.rows = [0, width * height]

    def draw(self, _channel, _x, _y, width, height):
        self.rows[0] += width * height
        if self.rows[0] >= self.rows[1] and self.ms is None:
            self.ms = (time.monotonic() - self.start) * 1000
            # A client that leaves while channels are still being linked can upset libspice-server.
            GLib.timeout_add(SETTLE_MS, self.loop.quit)


ms = Watch(sys.argv[1]).ms
if ms is None:
    sys.exit("no picture within 10 s")
print(f"{ms:.1f}")
