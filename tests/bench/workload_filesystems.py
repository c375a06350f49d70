# SPDX-License-Identifier: Apache-2.0
"""The filesystems that workloads run on: ours, its peers among FUSE servers, and the kernel's.

Beside our own files the FUSE peers stand on a tmpfs, the toughest comparison: no disk slows down what they
serve. Beside host directories all stand on ext4, as the kernel's own does.
"""

import contextlib
import copy
import os
import shutil
import subprocess
import time

from workload_process import CommandFailed, run_command, start_server

MOUNT_SECONDS = 30
STOP_SECONDS = 10
LOOP_IMAGE_BYTES = 8 << 30


class Filesystem:
    """Requires: `available()` is None before `mounted()` is used."""

    name = ""
    description = ""
    program = None  # that has to be installed

    def available(self):
        """None, or why this filesystem cannot be measured here."""
        if self.program and not shutil.which(self.program):
            return f"{self.program} is not installed"
        return None

    def mounted(self, work):
        """A context manager: a new and empty filesystem, whose directory it yields.

        `work` is an empty directory for whatever it needs; what is in it goes with it.
        """
        raise NotImplementedError


class Tmpfs(Filesystem):
    name = "tmpfs"
    description = "the kernel's tmpfs"

    @contextlib.contextmanager
    def mounted(self, work):
        with tmpfs(os.path.join(work, "tmpfs")) as directory:
            yield directory


class Ext4(Filesystem):
    """A new directory where `directory` is on ext4, else a loop image in it."""

    name = "ext4"

    def __init__(self, directory):
        self.directory = directory
        self.is_ext4 = filesystem_type(directory) == "ext4"
        self.description = (f"ext4, a new directory in {directory}" if self.is_ext4 else
                            f"ext4, a loop image in {directory} ({filesystem_type(directory)})")
        self.program = None if self.is_ext4 else "mkfs.ext4"

    @contextlib.contextmanager
    def mounted(self, work):
        directory = os.path.join(work, "ext4")
        if self.is_ext4:
            os.mkdir(directory)
            try:
                yield directory
            finally:
                shutil.rmtree(directory)
                run_command(["sync", "-f", work])
            return
        image = os.path.join(work, "image")
        with open(image, "wb") as out:
            out.truncate(LOOP_IMAGE_BYTES)
        run_command(["mkfs.ext4", "-q", image])
        with mount(["-o", "loop", image], directory):
            yield directory


class Layered(Filesystem):
    """One that stands on a lower layer: an empty directory, or another one."""

    lower_layer = None

    def over(self, directory):
        """The same on `directory`, which is read only."""
        other = copy.copy(self)
        other.lower_layer = directory
        return other

    def lower(self, work):
        return self.lower_layer or os.path.join(work, "lower")

    def make_layers(self, work, *names):
        """Those, and the lower one if none is given, in `work`."""
        for name in names if self.lower_layer else ("lower", *names):
            os.mkdir(os.path.join(work, name))


class FuseFilesystem(Filesystem):
    """One that a program serves in the foreground until it is unmounted."""

    def command(self, work, directory):
        """How to serve at `directory`. `work` is for what the server needs, and is on a tmpfs."""
        raise NotImplementedError

    def base(self, work):
        """A context manager: the directory that `command` gets."""
        return tmpfs(os.path.join(work, "base"))

    @contextlib.contextmanager
    def mounted(self, work):
        with self.base(work) as base:
            directory = os.path.join(work, self.name)
            os.mkdir(directory)
            with served(self.command(base, directory), directory, log_of(work)):
                yield directory


class Stasis(FuseFilesystem):
    name = "stasis"

    def __init__(self, program):
        self.program = program
        self.description = f"stasis mount of an empty image ({program})"

    def command(self, work, directory):
        empty, layout = os.path.join(work, "empty"), os.path.join(work, "layout")
        os.mkdir(empty)
        run_command([self.program, "import", empty, f"{layout}:empty"])
        return [self.program, "mount", f"{layout}:empty", directory]


class Bindfs(FuseFilesystem):
    name = "bindfs"
    description = "bindfs --multithreaded over a directory on a tmpfs"
    program = "bindfs"

    def command(self, work, directory):
        return ["bindfs", "-f", "--multithreaded", work, directory]


class BindfsOnExt4(Bindfs):
    name = "bindfs-ext4"
    description = "bindfs --multithreaded over a directory on ext4"

    def __init__(self, ext4):
        self.base = ext4.mounted


class Host(FuseFilesystem):
    """A host directory on ext4 as all of a tree: an image of a sandbox that has it as its root, mounted."""

    name = "host"
    options = ()

    def __init__(self, program, ext4):
        self.program = program
        self.base = ext4.mounted
        self.description = f"stasis mount of a host directory on ext4, exclusive{self.how}"

    how = ", with passthrough"

    def command(self, work, directory):
        layout = f"{directory}.layout"
        env = dict(os.environ, STASIS_RUNTIME_DIR=f"{directory}.run")
        run_command([self.program, "run", "--detach", "--name", "bench", "--system", "none", *self.root(work)], env=env)
        try:
            run_command([self.program, "checkpoint", "bench", f"{layout}:empty"], env=env)
        finally:
            run_command([self.program, "stop", "bench"], env=env)
        return [self.program, "mount", *self.options, "--root", f"rootfs={self.lower(work)}", *self.roots(work),
                f"{layout}:empty", directory]

    def root(self, work):
        """The options of a sandbox that has it."""
        return ["--rootfs", work, "--upper", "none"]

    def roots(self, work):
        """More options that say where a host directory is."""
        return []

    def lower(self, work):
        return work


class HostWithoutPassthrough(Host):
    name = "host-nopt"
    how = ", without passthrough"
    options = ("--no-passthrough",)


class Overlay(Layered, Host):
    """A host directory with a writable layer in memory on top."""

    name = "overlay"

    def __init__(self, program):
        self.program = program
        self.description = "stasis mount of an overlay: the same lower layer, the upper one in memory"

    def base(self, work):
        return tmpfs(os.path.join(work, "base"))

    def root(self, work):
        self.make_layers(work)
        return ["--rootfs", self.lower(work)]


class OverlayOnExt4(Layered, Host):
    """The same with an upper layer that is a host directory on a disk."""

    name = "overlay-ext4"
    def __init__(self, program, ext4):
        super().__init__(program, ext4)
        self.description = "stasis mount of an overlay: the same lower layer, the upper one on ext4"

    def root(self, work):
        self.make_layers(work, "top")
        return ["--rootfs", self.lower(work), "--upper", self._upper(work)]

    def roots(self, work):
        return ["--root", f"upper={self._upper(work)}"]

    @staticmethod
    def _upper(work):
        return os.path.join(work, "top")


class KernelOverlayfs(Layered):
    name = "overlayfs"
    description = "the kernel's overlayfs, both layers on a tmpfs; the lower one is empty but where a workload needs it"

    def base(self, work):
        """A context manager: where its own layers are."""
        return tmpfs(os.path.join(work, "base"))

    @contextlib.contextmanager
    def mounted(self, work):
        with self.base(work) as base:
            self.make_layers(base, "upper", "work")
            layers = f"lowerdir={self.lower(base)},upperdir={base}/upper,workdir={base}/work"
            with mount(["-t", "overlay", "overlay", "-o", layers], os.path.join(work, self.name)) as directory:
                yield directory


class KernelOverlayfsOnExt4(KernelOverlayfs):
    name = "overlayfs-ext4"
    description = "the kernel's overlayfs, the same lower layer, the upper one on ext4, as containers have it"

    def __init__(self, ext4):
        self.base = ext4.mounted


class FuseOverlayfs(Layered, FuseFilesystem):
    name = "fuse-overlayfs"
    description = "fuse-overlayfs, the same layers"
    program = "fuse-overlayfs"

    def command(self, work, directory):
        self.make_layers(work, "upper", "work")
        return ["fuse-overlayfs", "-f", "-o",
                f"lowerdir={self.lower(work)},upperdir={work}/upper,workdir={work}/work", directory]


class FuseOverlayfsOnExt4(FuseOverlayfs):
    name = "fuse-overlayfs-ext4"
    description = "fuse-overlayfs, the same"

    def __init__(self, ext4):
        self.base = ext4.mounted


class NullServer(FuseFilesystem):
    name = "null-server"
    description = "read() and write() on /dev/fuse, answers that are constants"

    def __init__(self, program):
        self.program = program

    def command(self, work, directory):
        return [self.program, directory]


def filesystem_type(directory):
    # One line for each of those that are mounted over one another, the visible one last.
    return run_command(["findmnt", "-n", "-o", "FSTYPE", "-T", directory])[0].splitlines()[-1]


@contextlib.contextmanager
def mount(arguments, directory):
    os.makedirs(directory, exist_ok=True)
    run_command(["mount", *arguments, directory])
    try:
        yield directory
    finally:
        unmount(directory)


def tmpfs(directory):
    return mount(["-t", "tmpfs", "tmpfs"], directory)


def unmount(directory):
    """At once if nobody uses it, else as soon as nobody does."""
    # Not os.path.ismount(): it is False where a dead server makes stat() fail.
    if directory not in mount_points():
        return
    # -c: without stat(), for which a server that hangs has no answer.
    if subprocess.run(["umount", "-c", directory], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        subprocess.run(["umount", "-c", "-l", directory], check=False)


def mount_points():
    with open("/proc/self/mounts", encoding="utf-8") as table:
        return [line.split()[1] for line in table]


def is_mounted_below(directory):
    return any(point.startswith(directory + "/") for point in mount_points())


@contextlib.contextmanager
def served(command, directory, log):
    server = start_server(command, log)
    try:
        wait_until_mounted(server, command[0], directory)
        yield
    finally:
        stop_server(server, directory)


def wait_until_mounted(server, program, directory):
    deadline = time.monotonic() + MOUNT_SECONDS
    while not os.path.ismount(directory):
        if server.poll() is not None:
            raise CommandFailed(f"{program} did not mount ({server.returncode})")
        if time.monotonic() > deadline:
            raise CommandFailed(f"{program} did not mount in {MOUNT_SECONDS} s")
        time.sleep(0.01)


def stop_server(server, directory):
    unmount(directory)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def log_of(work):
    """What the server said of a filesystem that was mounted with `work`; the kernel's have no such file."""
    return os.path.join(work, "log")


def read_end(log):
    """The last lines, to be put after a message."""
    if not os.path.exists(log):
        return ""
    with open(log, encoding="utf-8", errors="replace") as text:
        lines = text.read().strip().splitlines()[-3:]
    return "; the server said: " + " | ".join(lines) if lines else ""
