#!/usr/bin/python3
"""A SPICE client for tests, on spice-gtk's library through GObject introspection.

spice-client.py URI [--username U] [--password P] [--ca-file FILE] [--host-subject S] [--audio] [--small-caches] [--usb]
    [--share FOLDER]

Says what happens as one JSON object a line on standard output, its `event` one of: open, closed
(channel, id), error, surface (width, height, display), surface-gone, mark, draw (x, y, width, height),
mouse-mode (mode: server or client), modifiers (value: 1 scroll, 2 num, 4 caps), cursor-set (width,
height, hot_x, hot_y), cursor-hide, cursor-move, monitors (display, heads: of each
x, y, width, height), gl-scanout (width, height, stride,
format, y0top), gl-draw (x, y, width, height), agent (connected), port (name, opened), port-event
(name, value), port-data (name, text), port-echo (name, bytes, right), clipboard-grab (types, of the
guest), clipboard (text, or of a copy-bytes: bytes, right, or of a paste-to: bytes), playback-start and record-start
(channels, rate), playback-stop, record-stop,
sound (a second of the left channel: hz of the usual wave, peak, values: how many different ones), volume (left, right,
muted), file (text: why it was not sent), usb
(connected), done or failed (after each command).

Does what standard input says, one command a line:
    key press|down|up SCANCODE      XT scancode, 0x1xx for extended keys
    locks VALUE                     what the caps, num and scroll keys are to be locked to
    mouse-mode server|client
    motion DX DY                    server mouse mode
    position X Y                    client mouse mode
    button press|down|up N          1 left, 2 middle, 3 right, 4 up, 5 down, 6 side, 7 extra
    monitor WIDTH HEIGHT            through the agent
    monitors X,Y,WIDTH,HEIGHT,MM,MM...  the same for several, with places and millimetres
    copy TEXT                       offers it as the clipboard's content
    copy-bytes NUMBER               the same with text of this length
    copy-from FILE TYPE...          offers what the file holds, as each of these: 1 text, 2 PNG, 3 BMP
    copy-files                      offers a list of files
    paste [TYPE]                    asks for the guest's clipboard: 1 text, 2 PNG, 3 BMP, 6 files
    paste-to FILE [TYPE]            the same, into a file: only how long it is is said
    send-file PATH
    port NAME TEXT
    port-event NAME 0|1|2           opened, closed, break
    share-cd PATH                   a CD of this content, with --usb
    port-echo NAME BYTES            says that much and compares what comes back
    speak HZ SECONDS                a tone into the record channel, while it is started
    dump FILE [DISPLAY]             a primary surface as a PPM file, display 0's if not said
    dump-gl FILE                    display 0's scanout, whose pixels must be bytes B, G, R and another
    gl-answer on|off                whether GL draws are answered, as they are at first
    quit
Ends when standard input does.
"""
import ctypes
import json
import math
import mmap
import random
import struct
import sys

import gi

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import Gio, GLib, GObject, SpiceClientGLib as Spice  # noqa: E402

PATTERN = bytes(random.Random(1).choices(b" etaoin shrdlu", k=200003))
PROPERTIES = {
    "--username": "username", "--password": "password", "--share": "shared-dir", "--ca-file": "ca-file", "--host-subject": "cert-subject"}
MOUSE_MODES = {"server": 1, "client": 2}
CLIPBOARD_TEXT = 1
CLIPBOARD_FILES = 6
BUTTON_MASKS = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 64}


LIBRARY = ctypes.CDLL("libspice-client-glib-2.0.so.8")
WRITTEN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
LIBRARY.spice_port_channel_write_async.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, WRITTEN, ctypes.c_void_p]
LIBRARY.spice_port_channel_write_async.restype = None
LIBRARY.g_object_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
LIBRARY.g_array_unref.argtypes = [ctypes.c_void_p]

# Sessions and channels have a `connect` of their own, which hides the one for signals.
on = GObject.Object.connect


class Client:
    def __init__(self, uri, properties, flags):
        self.loop = GLib.MainLoop()
        self.channels = {}
        self.surfaces = {}
        self.buttons = 0
        self.copied = b""
        self.answers_gl = True
        self.compares = False
        self.pastes_to = None
        self.echoes = {}
        self.writes = []
        self.session = Spice.Session()
        self.session.set_property("uri", uri)
        self.session.set_property("enable-audio", "--audio" in flags)
        self.usb = Spice.UsbDeviceManager.get(self.session) if "--usb" in flags else None
        if self.usb:
            self.usb.set_property("auto-connect", False)
            on(self.usb, "device-added", self.on_usb_device)
        if "--small-caches" in flags:
            # Bytes; a picture of 100x100 has 40 000.
            self.session.set_property("cache-size", 100_000)
            self.session.set_property("glz-window-size", 50_000)
        for name, value in properties.items():
            self.session.set_property(name, value)
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
        # Those of devices are the manager's to connect.
        if kind != "main" and not (self.usb and kind == "usbredir"):
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

        def grabbed(_channel, _selection, types, count):
            kinds = struct.unpack("<%dI" % count, ctypes.string_at(types, 4 * count)) if isinstance(types, int) else types
            self.say("clipboard-grab", types=list(kinds))
            return True

        on(channel, "main-clipboard-selection-grab", grabbed)
        on(channel, "main-agent-update", lambda *_: self.say("agent", connected=channel.get_property("agent-connected")))

    def on_clipboard_request(self, channel, selection, kind):
        channel.clipboard_selection_notify(selection, kind, self.copied)
        return True

    def on_clipboard(self, _channel, _selection, _kind, pixels, size):
        got = ctypes.string_at(pixels, size)
        if self.pastes_to:
            with open(self.pastes_to, "wb") as file:
                file.write(got)
            self.say("clipboard", bytes=size)
        elif self.compares:
            self.say("clipboard", bytes=size, right=got == self.copied)
        else:
            self.say("clipboard", text=got.decode())

    def watch_display(self, channel):
        on(channel, "display-primary-create", self.on_surface)
        on(channel, "display-primary-destroy", self.on_surface_gone)
        on(channel, "display-mark", lambda _c, mark: self.say("mark", on=bool(mark)))
        on(channel, "display-invalidate", lambda _c, x, y, w, h: self.say("draw", x=x, y=y, width=w, height=h))
        on(channel, "notify::monitors", self.on_monitors)
        on(channel, "notify::gl-scanout", self.on_gl_scanout)
        on(channel, "gl-draw", self.on_gl_draw)

    def on_monitors(self, channel, _property):
        # Introspection does not know what is in the array: a pointer and a length.
        array = ctypes.c_void_p()
        LIBRARY.g_object_get(hash(channel), b"monitors", ctypes.byref(array), None)
        if not array:
            return
        data, count = struct.unpack("PI", ctypes.string_at(array.value, struct.calcsize("PI")))
        # Number, surface, then what is said.
        heads = list(struct.iter_unpack("6I", ctypes.string_at(data, count * 24)))
        self.say("monitors", display=channel.get_property("channel-id"), heads=[head[2:] for head in heads])
        LIBRARY.g_array_unref(array)

    def on_gl_scanout(self, channel, _property):
        it = channel.get_gl_scanout()
        if it:
            letters = it.format.to_bytes(4, "little").decode("latin-1")
            self.say("gl-scanout", width=it.width, height=it.height, stride=it.stride, format=letters, y0top=it.y0top)

    def on_gl_draw(self, channel, x, y, width, height):
        self.say("gl-draw", x=x, y=y, width=width, height=height)
        if self.answers_gl:
            channel.gl_draw_done()

    def on_surface(self, channel, _format, width, height, stride, _shmid, pixels):
        display = channel.get_property("channel-id")
        self.surfaces[display] = (width, height, stride, pixels)
        self.say("surface", width=width, height=height, display=display)

    def on_surface_gone(self, channel):
        self.surfaces.pop(channel.get_property("channel-id"), None)
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
        on(channel, "port-event", lambda c, event: self.say("port-event", name=c.get_property("port-name"), value=event))
        on(channel, "port-data", self.on_port_data)

    watch_webdav = watch_port

    def on_port_data(self, channel, data, size):
        name, got = channel.get_property("port-name"), ctypes.string_at(data, size)
        echo = self.echoes.get(name)
        if not echo:
            self.say("port-data", name=name, text=got.decode())
            return
        at = echo["got"]
        echo["right"] = echo["right"] and got == pattern(at, size)
        echo["got"] += size
        if echo["got"] >= echo["bytes"]:
            del self.echoes[name]
            self.say("port-echo", name=name, bytes=echo["got"], right=echo["right"])

    def watch_playback(self, channel):
        self.heard = bytearray()

        def start(_channel, _format, channels, rate):
            self.heard.clear()
            self.say("playback-start", channels=channels, rate=rate)

        def volume(*_):
            levels = channel.get_property("volume"), channel.get_property("nchannels")
            if levels[0]:
                left, right = struct.unpack("HH", ctypes.string_at(levels[0], 4))
                self.say("volume", left=left, right=right, muted=channel.get_property("mute"))

        on(channel, "playback-start", start)
        on(channel, "playback-data", self.on_sound)
        on(channel, "playback-stop", lambda *_: self.say("playback-stop"))
        on(channel, "notify::mute", volume)

    def on_sound(self, _channel, data, size):
        self.heard += ctypes.string_at(data, size)
        second = 48000 * 4
        if len(self.heard) < second:
            return
        left = struct.unpack("<%dh" % (second // 2), self.heard[:second])[::2]
        del self.heard[:second]
        rising = [at for at, (one, two) in enumerate(zip(left, left[1:])) if one < 0 <= two]
        # The usual length of a wave: a gap, as a busy machine makes it, is not another tone.
        waves = sorted(two - one for one, two in zip(rising, rising[1:]))
        hz = round(48000 / waves[len(waves) // 2]) if waves else 0
        self.say("sound", hz=hz, peak=max(map(abs, left)), values=len(set(left)))

    def watch_record(self, channel):
        self.recording = False

        def start(_channel, _format, channels, rate):
            self.recording = True
            self.say("record-start", channels=channels, rate=rate)

        def stop(_channel):
            self.recording = False
            self.say("record-stop")

        on(channel, "record-start", start)
        on(channel, "record-stop", stop)

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

    def do_monitors(self, *monitors):
        main = self.channel("main")
        # Otherwise the library puts them side by side.
        main.set_property("disable-display-align", True)
        main.set_property("disable-display-position", False)
        for number, monitor in enumerate(monitors):
            x, y, width, height, width_mm, height_mm = map(int, monitor.split(","))
            main.update_display_enabled(number, True, False)
            main.update_display(number, x, y, width, height, False)
            main.update_display_mm(number, width_mm, height_mm, False)
        main.send_monitor_config()

    def do_copy(self, text):
        self.copied = text.encode()
        self.channel("main").clipboard_selection_grab(0, [CLIPBOARD_TEXT])

    def do_copy_bytes(self, size):
        self.copied, self.compares = pattern(0, int(size)), True
        self.channel("main").clipboard_selection_grab(0, [CLIPBOARD_TEXT])

    def do_copy_from(self, path, *kinds):
        with open(path, "rb") as file:
            self.copied = file.read()
        self.channel("main").clipboard_selection_grab(0, [int(kind) for kind in kinds])

    def do_copy_files(self):
        self.channel("main").clipboard_selection_grab(0, [CLIPBOARD_FILES])

    def do_paste_to(self, path, kind=CLIPBOARD_TEXT):
        self.pastes_to = path
        self.do_paste(kind)

    def do_paste(self, kind=CLIPBOARD_TEXT):
        self.channel("main").clipboard_selection_request(0, int(kind))

    def do_send_file(self, path):
        def copied(main, result):
            try:
                main.file_copy_finish(result)
            except GLib.Error as error:
                self.say("file", text=error.message)
            else:
                self.say("file", text="")

        files = [Gio.File.new_for_path(path)]
        self.channel("main").file_copy_async(files, Gio.FileCopyFlags.NONE, None, None, None, copied)

    def port(self, name):
        ports = (c for (kind, _), c in self.channels.items() if kind in ("port", "webdav"))
        return next(channel for channel in ports if channel.get_property("port-name") == name)

    def write_port(self, port, data, then=None):
        # The library keeps the buffer until it says so, and introspection would free it at once.
        buffer = ctypes.create_string_buffer(data, len(data))

        def written(*_):
            self.writes.remove(kept)
            if then:
                then()

        kept = buffer, WRITTEN(written)
        self.writes.append(kept)
        LIBRARY.spice_port_channel_write_async(hash(port), buffer, len(data), None, kept[1], None)

    def do_port(self, name, text):
        self.write_port(self.port(name), text.encode())

    def do_share_cd(self, path):
        self.usb.create_shared_cd_device(path)

    def on_usb_device(self, manager, device):
        def connected(_manager, result):
            try:
                self.say("usb", connected=manager.connect_device_finish(result))
            except GLib.Error as error:
                self.say("usb", connected=False, text=error.message)

        manager.connect_device_async(device, None, connected)

    def do_port_event(self, name, event):
        self.port(name).event(int(event))

    def do_port_echo(self, name, size):
        port, size, step = self.port(name), int(size), 60000
        self.echoes[name] = {"bytes": size, "got": 0, "right": True}

        def write(at):
            if at < size:
                self.write_port(port, pattern(at, min(step, size - at)), lambda: write(at + step))

        write(0)

    def do_speak(self, hz, seconds):
        record, steps = self.channel("record"), int(float(seconds) * 100)
        samples = (round(8192 * math.sin(2 * math.pi * int(hz) * n / 48000)) for n in range(steps * 480))
        samples = [struct.pack("<hh", n, n) for n in samples]
        self.step = 0

        def step():
            if not self.recording or self.step == steps:
                return False
            piece = b"".join(samples[self.step * 480:][:480])
            buffer = ctypes.create_string_buffer(piece, len(piece))
            record.send_data(ctypes.addressof(buffer), len(piece), self.step * 10)
            self.step += 1
            return True

        GLib.timeout_add(10, step)

    def do_dump(self, path, display="0"):
        width, height, stride, pixels = self.surfaces[int(display)]
        self.write_ppm(path, width, height, (ctypes.string_at(pixels + y * stride, width * 4) for y in range(height)))

    def do_gl_answer(self, word):
        self.answers_gl = {"on": True, "off": False}[word]

    def do_dump_gl(self, path):
        it = self.channels["display", 0].get_gl_scanout()
        with mmap.mmap(it.fd, it.stride * it.height, prot=mmap.PROT_READ) as pixels:
            rows = [pixels[y * it.stride:y * it.stride + it.width * 4] for y in range(it.height)]
        self.write_ppm(path, it.width, it.height, reversed(rows) if it.y0top else rows)

    def write_ppm(self, path, width, height, rows):
        with open(path, "wb") as out:
            out.write(b"P6 %d %d 255\n" % (width, height))
            for row in rows:
                rgb = bytearray(width * 3)
                rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
                out.write(rgb)


def pattern(at, size):
    """`size` bytes of an endless sequence that can be compressed, from its byte `at` on."""
    at %= len(PATTERN)
    return (PATTERN[at:] + PATTERN * (size // len(PATTERN) + 1))[:size]


def main():
    uri, *options = sys.argv[1:] or sys.exit(__doc__)
    flags = {flag for flag in ("--audio", "--small-caches", "--usb") if flag in options}
    options = [option for option in options if option not in flags]
    values = dict(zip(options[::2], options[1::2]))
    if len(options) % 2 or not values.keys() <= PROPERTIES.keys():
        sys.exit(__doc__)
    Client(uri, {PROPERTIES[option]: value for option, value in values.items()}, flags).loop.run()


main()
