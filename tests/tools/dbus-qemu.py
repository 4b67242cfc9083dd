#!/usr/bin/python3
"""The other end of QEMU's D-Bus display for tests, on GLib's D-Bus as QEMU is: a machine with two dark
consoles, a keyboard, and a clipboard that knows more than text.

dbus-qemu.py ADDRESS

Owns org.qemu on the bus at this address. Says what happens as one JSON object a line on standard
output, its `event` one of: ready, registered (for the clipboard), key (code), ui-info (console, values:
millimetres, place and size of a monitor), grab (mimes), release,
content (mime, bytes), refused (text), done.

Does what standard input says, one command a line:
    copy FILE MIME...       the guest copied what the file holds, in each of these types
    paste FILE MIME...      asks for what a viewer copied and writes it to the file
    stranger                calls as somebody else on the bus does
"""
import json
import os
import sys

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

ROOT = "/org/qemu/Display1"
CONSOLES = [ROOT + "/Console_0", ROOT + "/Console_1"]
CLIPBOARD = ROOT + "/Clipboard"


def interface(name, methods=(), properties=()):
    """The description of an interface; methods as (name, in, out), properties as (name, type)."""
    text = ""
    for method, takes, gives in methods:
        arguments = [(kind, "in") for kind in takes] + [(kind, "out") for kind in gives]
        arguments = "".join(f"<arg type='{kind}' direction='{way}'/>" for kind, way in arguments)
        text += f"<method name='{method}'>{arguments}</method>"
    for known, kind in properties:
        text += f"<property name='{known}' type='{kind}' access='read'/>"
    return Gio.DBusNodeInfo.new_for_xml(f"<node><interface name='{name}'>{text}</interface></node>").interfaces[0]


CONSOLE = [
    interface("org.qemu.Display1.Console", [
        ("RegisterListener", ["h"], []), ("SetUIInfo", ["q", "q", "i", "i", "u", "u"], [])], [("Label", "s"), ("Type", "s")]),
    interface("org.qemu.Display1.Keyboard", [("Press", ["u"], []), ("Release", ["u"], [])], [("Modifiers", "u")]),
    interface("org.qemu.Display1.Mouse", (), [("IsAbsolute", "b")]),
]
OBJECTS = {
    **{path: CONSOLE for path in CONSOLES},
    ROOT: [interface("org.freedesktop.DBus.ObjectManager", [("GetManagedObjects", [], ["a{oa{sa{sv}}}"])])],
    ROOT + "/VM": [interface("org.qemu.Display1.VM", (), [("Name", "s"), ("UUID", "s"), ("ConsoleIDs", "au")])],
    CLIPBOARD: [interface("org.qemu.Display1.Clipboard", [
        ("Register", [], []), ("Unregister", [], []), ("Grab", ["u", "u", "as"], []), ("Release", ["u"], []),
        ("Request", ["u", "as"], ["s", "ay"])])],
}
PROPERTIES = {
    "Name": GLib.Variant("s", "tested"), "UUID": GLib.Variant("s", ""), "ConsoleIDs": GLib.Variant("au", [0, 1]),
    "Label": GLib.Variant("s", "dark"), "Type": GLib.Variant("s", "Graphic"), "Modifiers": GLib.Variant("u", 0),
    "IsAbsolute": GLib.Variant("b", True),
}
# Longer than anything takes, in milliseconds.
PATIENCE = 60_000


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Machine:
    def __init__(self, address):
        self.loop = GLib.MainLoop()
        self.address = address
        self.bus = self.connect()
        self.listeners = []
        self.viewer = None
        self.copied = b""
        self.serial = 0
        for path, interfaces in OBJECTS.items():
            for one in interfaces:
                self.bus.register_object(path, one, self.on_call, self.on_get, None)
        self.call(self.bus, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "(su)", ("org.qemu", 4))
        GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, self.on_stdin)
        self.pending = b""
        say("ready")

    def connect(self):
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        return Gio.DBusConnection.new_for_address_sync(self.address, flags, None, None)

    def call(self, bus, name, path, interface, method, kind, arguments):
        arguments = GLib.Variant(kind, arguments)
        return bus.call_sync(name, path, interface, method, arguments, None, Gio.DBusCallFlags.NONE, PATIENCE, None)

    def on_get(self, _bus, _sender, _path, _interface, name):
        return PROPERTIES[name]

    def on_call(self, _bus, sender, path, interface, method, arguments, invocation):
        answer = None
        if method == "GetManagedObjects":
            objects = {CLIPBOARD: {"org.qemu.Display1.Clipboard": {}}}
            answer = GLib.Variant("(a{oa{sa{sv}}})", (objects,))
        elif method == "RegisterListener":
            descriptors = invocation.get_message().get_unix_fd_list()
            self.listen(descriptors.get(arguments[0]))
        elif method == "Register":
            self.viewer = sender
            say("registered")
        elif method == "Grab":
            say("grab", mimes=arguments[2])
        elif method == "Release":
            if interface.endswith("Clipboard"):
                say("release")
        elif method == "SetUIInfo":
            say("ui-info", console=CONSOLES.index(path), values=list(arguments))
        elif method == "Press":
            say("key", code=arguments[0])
        elif method == "Request":
            content = GLib.Variant.new_from_bytes(GLib.VariantType("ay"), GLib.Bytes.new(self.copied), True)
            answer = GLib.Variant.new_tuple(GLib.Variant("s", arguments[1][0]), content)
        invocation.return_value(answer)

    def listen(self, descriptor):
        """The console's own connection, on which it draws nothing."""
        stream = Gio.Socket.new_from_fd(descriptor).connection_factory_create_connection()
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_SERVER
        keep = lambda _source, result: self.listeners.append(Gio.DBusConnection.new_finish(result))
        Gio.DBusConnection.new(stream, Gio.dbus_generate_guid(), flags, None, None, keep)

    # -------------------------------------------------------------- what to do

    def on_stdin(self, _fd, _condition):
        data = os.read(sys.stdin.fileno(), 4096)
        if not data:
            self.loop.quit()
            return False
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            if not line:
                continue
            name, *rest = line.decode().split()
            getattr(self, "do_" + name)(*rest)
            say("done", command=name)
        return True

    def grab(self, bus, mimes):
        return self.call(bus, self.viewer, CLIPBOARD, "org.qemu.Display1.Clipboard", "Grab", "(uuas)", (0, self.serial, mimes))

    def do_copy(self, path, *mimes):
        with open(path, "rb") as file:
            self.copied = file.read()
        self.serial += 1
        self.grab(self.bus, mimes)

    def do_paste(self, path, *mimes):
        def answered(bus, result):
            try:
                answer = bus.call_finish(result)
            except GLib.Error as error:
                say("refused", text=error.message)
                return
            content = answer.get_child_value(1).get_data_as_bytes().get_data() or b""
            with open(path, "wb") as file:
                file.write(content)
            say("content", mime=answer.get_child_value(0).get_string(), bytes=len(content))

        arguments = GLib.Variant("(uas)", (0, mimes))
        self.bus.call(self.viewer, CLIPBOARD, "org.qemu.Display1.Clipboard", "Request", arguments, None,
                      Gio.DBusCallFlags.NONE, PATIENCE, None, answered)

    def do_stranger(self):
        try:
            self.grab(self.connect(), ["text/plain"])
        except GLib.Error as error:
            say("refused", text=error.message)


Machine(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)).loop.run()
