#!/usr/bin/python3
"""A SPICE client for tests, on spice-gtk's library through GObject introspection.

spice-client.py URI [--password P]

Says what happens as one JSON object a line on standard output, its `event` one of: open, closed
(channel, id), error, surface (width, height), surface-gone, mark, draw (x, y, width, height),
mouse-mode (mode: server or client), modifiers (value: 1 scroll, 2 num, 4 caps), cursor-set (width,
height, hot_x, hot_y), cursor-hide, cursor-move, monitors, agent (connected), port (name,
opened), clipboard (text), done or failed (after each command).

Does what standard input says, one command a line:
    key press|down|up SCANCODE      XT scancode, 0x1xx for extended keys
    locks VALUE                     what the caps, num and scroll keys are to be locked to
    mouse-mode server|client
    motion DX DY                    server mouse mode
    position X Y                    client mouse mode
    button press|down|up N          1 left, 2 middle, 3 right, 4 up, 5 down
    monitor WIDTH HEIGHT            through the agent
    copy TEXT                       offers it as the clipboard's content
    paste                           asks for the guest's clipboard
    send-file PATH
    port NAME TEXT
    dump FILE                       the primary surface as a PPM file
    quit
Ends when standard input does.
"""
import ctypes
import json
import sys

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import Gio, GLib, GObject, SpiceClientGLib as Spice  # noqa: E402

MOUSE_MODES = {"server": 1, "client": 2}
CLIPBOARD_TEXT = 1
BUTTON_MASKS = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16}


# Sessions and channels have a `connect` of their own, which hides the one for signals.
on = GObject.Object.connect


class Client:
    def __init__(self, uri, password):
        self.loop = GLib.MainLoop()
        self.channels = {}
        self.surface = None
        self.buttons = 0
        self.copied = b""
        self.session = Spice.Session()
        self.session.set_property("uri", uri)
        self.session.set_property("enable-audio", False)
        if password:
            self.session.set_property("password", password)
        on(self.session, "channel-new", self.on_channel)
        GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self.on_stdin)
        self.pending = b""
        self.session.connect()

    # -------------------------------------------------------------- what happens

    def say(self, event, **more):
        print(json.dumps({"event": event, **more}), flush=True)

    def on_channel(self, _session, channel):
        kind = Spice.Channel.type_to_string(channel.get_property("channel-type"))
        number = channel.get_property("channel-id")
        self.channels[kind, number] = channel
        on(channel, "channel-event", self.on_channel_event, kind, number)
        watch = getattr(self, "watch_" + kind, None)
        if watch:
            watch(channel)
        if kind != "main":
            channel.connect()

    def on_channel_event(self, channel, event, kind, number):
        if event == Spice.ChannelEvent.OPENED:
            self.say("open", channel=kind, id=number)
        elif event == Spice.ChannelEvent.CLOSED:
            self.say("closed", channel=kind, id=number)
        else:
            error = Spice.Channel.get_error(channel)
            self.say("error", channel=kind, id=number, what=event.value_nick, text=error.message if error else "")

    def watch_main(self, channel):
        def mode(*_):
            number = channel.get_property("mouse-mode")
            self.say("mouse-mode", mode={1: "server", 2: "client"}.get(number, number))

        on(channel, "main-mouse-update", mode)
        channel.set_property("disable-wallpaper", True)
        on(channel, "main-clipboard-selection-request", self.on_clipboard_request)
        on(channel, "main-clipboard-selection", self.on_clipboard)
        on(channel, "main-agent-update", lambda *_: self.say("agent", connected=channel.get_property("agent-connected")))

    def on_clipboard_request(self, channel, selection, kind):
        channel.clipboard_selection_notify(selection, kind, self.copied)
        return True

    def on_clipboard(self, _channel, _selection, _kind, pixels, size):
        self.say("clipboard", text=ctypes.string_at(pixels, size).decode())

    def watch_display(self, channel):
        on(channel, "display-primary-create", self.on_surface)
        on(channel, "display-primary-destroy", self.on_surface_gone)
        on(channel, "display-mark", lambda _c, mark: self.say("mark", on=bool(mark)))
        on(channel, "display-invalidate", lambda _c, x, y, w, h: self.say("draw", x=x, y=y, width=w, height=h))
        on(channel, "notify::monitors", lambda *_: self.say("monitors"))

    def on_surface(self, _channel, _format, width, height, stride, _shmid, pixels):
        self.surface = (width, height, stride, pixels)
        self.say("surface", width=width, height=height)

    def on_surface_gone(self, _channel):
        self.surface = None
        self.say("surface-gone")

    def watch_inputs(self, channel):
        on(channel, "inputs-modifiers", lambda *_: self.say("modifiers", value=channel.get_property("key-modifiers")))

    def watch_cursor(self, channel):
        def shape(_channel, width, height, hot_x, hot_y, _pixels):
            self.say("cursor-set", width=width, height=height, hot_x=hot_x, hot_y=hot_y)

        on(channel, "cursor-set", shape)
        on(channel, "cursor-hide", lambda *_: self.say("cursor-hide"))
        on(channel, "cursor-move", lambda _c, x, y: self.say("cursor-move", x=x, y=y))

    def watch_port(self, channel):
        def opened(*_):
            self.say("port", name=channel.get_property("port-name"), opened=channel.get_property("port-opened"))

        on(channel, "notify::port-opened", opened)

    # -------------------------------------------------------------- what to do

    def on_stdin(self, _fd, _condition):
        # One read a wake-up: what it leaves in the kernel wakes us again.
        data = sys.stdin.buffer.raw.read(4096)
        if not data:
            self.loop.quit()
            return False
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            self.command(line.decode().split())
        return True

    def command(self, words):
        if not words:
            return
        name, *rest = words
        if name == "quit":
            self.loop.quit()
            return
        try:
            getattr(self, "do_" + name.replace("-", "_"))(*rest)
        except Exception as error:  # whatever it is, the test must hear of it
            self.say("failed", command=name, text=repr(error))
        else:
            self.say("done", command=name)

    def channel(self, kind):
        return next(channel for (other, _), channel in self.channels.items() if other == kind)

    def do_key(self, how, code):
        inputs, code = self.channel("inputs"), int(code, 0)
        act = {"press": inputs.key_press_and_release, "down": inputs.key_press, "up": inputs.key_release}
        act[how](code)

    def do_locks(self, value):
        self.channel("inputs").set_key_locks(int(value, 0))

    def do_mouse_mode(self, mode):
        self.channel("main").request_mouse_mode(MOUSE_MODES[mode])

    def do_motion(self, dx, dy):
        self.channel("inputs").motion(int(dx), int(dy), self.buttons)

    def do_position(self, x, y):
        self.channel("inputs").position(int(x), int(y), 0, self.buttons)

    def do_button(self, how, number):
        inputs, number = self.channel("inputs"), int(number)
        if how in ("press", "down"):
            self.buttons |= BUTTON_MASKS[number]
            inputs.button_press(number, self.buttons)
        if how in ("press", "up"):
            self.buttons &= ~BUTTON_MASKS[number]
            inputs.button_release(number, self.buttons)

    def do_monitor(self, width, height):
        main = self.channel("main")
        main.update_display_enabled(0, True, False)
        main.update_display(0, 0, 0, int(width), int(height), False)
        main.send_monitor_config()

    def do_copy(self, text):
        self.copied = text.encode()
        self.channel("main").clipboard_selection_grab(0, [CLIPBOARD_TEXT])

    def do_paste(self):
        self.channel("main").clipboard_selection_request(0, CLIPBOARD_TEXT)

    def do_send_file(self, path):
        self.channel("main").file_copy_async([Gio.File.new_for_path(path)], Gio.FileCopyFlags.NONE, None, None, None)

    def do_port(self, name, text):
        for (kind, _), channel in self.channels.items():
            if kind == "port" and channel.get_property("port-name") == name:
                channel.write_async(text.encode(), None, None)

    def do_dump(self, path):
        width, height, stride, pixels = self.surface
        rows = (ctypes.string_at(pixels + y * stride, width * 4) for y in range(height))
        with open(path, "wb") as out:
            out.write(b"P6 %d %d 255\n" % (width, height))
            for row in rows:
                rgb = bytearray(width * 3)
                rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
                out.write(rgb)


def main():
    arguments = sys.argv[1:]
    if len(arguments) not in (1, 3) or len(arguments) == 3 and arguments[1] != "--password":
        sys.exit(__doc__)
    Client(arguments[0], arguments[2] if len(arguments) == 3 else None).loop.run()


main()
