"""What the side-by-side benches share: building, films, servers, links, and one client's look at a film."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = "/usr/bin/python3"  # the one that Debian's GObject introspection is installed for
WIDTH, HEIGHT = 1280, 720
GSTREAMER = {"mjpeg": "spice:mjpeg", "h264": "gstreamer:h264", "vp8": "gstreamer:vp8"}
# Where a server is on a shaped link.
SERVER = "10.77.0.1"
# A client's start, and libspice-server's first second, are not what is measured.
WARM_UP = 3


def skip(reason):
    print(f"SKIPPED: {pathlib.Path(sys.argv[0]).name} needs {reason}")
    sys.exit(0)


def need_gi():
    gi = 'import gi; gi.require_version("SpiceClientGLib", "2.0")'
    if subprocess.run([PYTHON, "-c", gi], stderr=subprocess.DEVNULL).returncode:
        skip("python3-gi and gir1.2-spiceclientglib-2.0")


def build(*packages):
    """Builds the programs of these packages; answers the folder in which they are."""
    cargo = ["cargo", "build", "--release", "-q", *(word for name in packages for word in ("-p", name)), "--bins"]
    subprocess.run(cargo, cwd=ROOT, check=True)
    metadata = subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT)
    return pathlib.Path(json.loads(metadata)["target_directory"]) / "release"


class Bench:
    """The two servers, ready to start, and a folder for what they need."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if subprocess.run(["pkg-config", "--exists", "spice-server", "glib-2.0"]).returncode:
            skip("libspice-server-dev")
        need_gi()
        flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "spice-server", "glib-2.0"], text=True)
        self.c_server = self.folder / "c-server"
        subprocess.run(["cc", "-O2", "-o", self.c_server, HERE / "c-server.c", *flags.split()], check=True)
        self.built = build("sumac", "sumac-benches")
        self.target = self.built.parent

    def film(self, kind, count):
        """A film of that kind; see benches/src/bin/films.rs."""
        path = self.folder / f"{kind}.bgrx"
        if not path.exists():
            subprocess.run([self.built / "films", kind, str(count), path], check=True)
        return path

    def theirs(self, address, port, film, rate, streaming, codecs):
        shape = [film, str(WIDTH), str(HEIGHT), str(rate), streaming]
        return [self.c_server, address, str(port), *shape, ";".join(GSTREAMER[codec] for codec in codecs)]

    def ours(self, address, port, film, rate, streaming, codecs):
        return [
            *[self.built / "sumac", "--addr", address, "--port", str(port), "--vv", "none", "--disable-ticketing"],
            *["--source", "frames", "--frames", film, "--size", f"{WIDTH}x{HEIGHT}", "--rate", str(rate), "--stamp"],
            *["--streaming-video", streaming, "--video-codecs", ",".join(codecs)],
        ]

    def bare(self, *words):
        """Ours as it is on a machine with neither nasm nor libturbojpeg: the one is not asked to build it,
        the other is hidden from it."""
        library = next(iter(pathlib.Path("/usr/lib").glob("*/libturbojpeg.so.0")), None)
        if os.geteuid() and library:
            skip("root, to hide libturbojpeg from the bare build")
        target = self.target / "bare"
        cargo = ["cargo", "build", "--release", "-q", "-p", "sumac", "--bins", "--target-dir", target]
        subprocess.run(cargo, cwd=ROOT, check=True, env={**os.environ, "OPENH264_NO_ASM": "1"})
        _, *options = self.ours(*words)
        hide = f'mount --bind /dev/null {library.resolve()} && exec "$@"' if library else 'exec "$@"'
        return ["unshare", "--mount", "sh", "-c", hide, "sh", target / "release" / "sumac", *options]

    def servers(self, bare=False):
        """By name, in the order in which they take turns."""
        servers = {"libspice-server": self.theirs, "sumac": self.ours}
        return {**servers, "sumac, bare": self.bare} if bare else servers

    def start(self, command, inside=()):
        return Server([*inside, *command], self.folder / "server.log")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def namespace(name):
    """What stands before a command that runs in this network namespace."""
    return ["nsenter", f"--net=/run/netns/{name}"]


def need(program, package):
    if not shutil.which(program):
        skip(package)


def need_link():
    """What a shaped link needs."""
    if os.geteuid() or not os.path.exists("/dev/net/tun"):
        skip("root and /dev/net/tun")
    need("ip", "iproute2")


@contextlib.contextmanager
def shaped(*options):
    """A link of these options of shaped-link: its two namespaces, as what stands before a command."""
    name = f"sumac{os.getpid()}"
    command = [HERE / "shaped-link", name, "--seconds", "90", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the link does not start")
        yield namespace(f"{name}-s"), namespace(f"{name}-c")
    finally:
        process.terminate()
        process.wait()


class Server:
    """A running server that counts what it costs."""

    def __init__(self, command, log):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(log, "w"))
        if not self.process.stdout.readline().startswith(b"ready"):
            self.stop()
            raise RuntimeError(f"{command[0]} does not start: {log.read_text()[-500:]}")

    def cpu(self):
        """Seconds of processor time of all threads but the source's, and the one that makes keys
        ahead for the links to come, which goes on long after the client's own; with those of the
        processes in which it encodes, as long as they are there."""
        total = 0
        for pid in family(self.process.pid):
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                if not task.joinpath("comm").read_text().strip().endswith(("source", "-keys")):
                    total += int(task.joinpath("schedstat").read_text().split()[0])
        return total / 1e9

    def stop(self):
        self.process.kill()
        self.process.wait()


def family(pid):
    """A process, and all that it and those have started."""
    children = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(status.parent.name))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def watch(server, uri, seconds, inside=()):
    """One client watches for so long: pictures a second, milliseconds, and what each picture cost."""
    client = [*inside, PYTHON, HERE / "watch-video.py", uri, str(WARM_UP), str(seconds)]
    client = subprocess.Popen(client, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(WARM_UP)
    before = server.cpu()
    time.sleep(seconds)
    cost = server.cpu() - before
    seen = json.loads(client.communicate(timeout=30)[0])
    ms = sorted(seen["ms"]) or [float("nan")]
    frames = max(seen["frames"], 1)
    return {
        "fps": seen["frames"] / seen["seconds"],
        "p50": ms[len(ms) // 2],
        "p99": ms[len(ms) * 99 // 100],
        "cpu": cost * 1000 / frames,
        "kB": seen["bytes"] / frames / 1000,
    }
