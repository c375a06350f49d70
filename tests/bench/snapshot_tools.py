# SPDX-License-Identifier: Apache-2.0
"""Programs that save a tree and bring it back: ours, and its peers.

The peers save a plain directory, but for runsc, which saves a sandbox of its own. Requires of each:
`available()` is None before `opened()` is used.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

from snapshot_sandbox import SOURCES, TREE, stored_bytes
from snapshot_tree import path_of
from workload_process import CommandFailed, run_command

RUNSC_TREE = "/mnt"
RUNSC_SECONDS = "120"  # for one command


class Tool:
    name = ""
    description = ""
    program = None  # that has to be installed

    def available(self):
        if self.program and not shutil.which(self.program):
            return f"{self.program} is not installed"
        return None

    @contextlib.contextmanager
    def opened(self, store, scratch, tree):
        """`store`: an empty directory for what it saves; `scratch`: one for caches; `tree`: the plain directory."""
        self.store, self.scratch, self.plain = store, scratch, tree
        self.prepare()
        yield self

    def prepare(self):
        """What has to be there before the first save."""

    def change(self, files, count, seed):
        """Of a tree of its own."""

    def save(self, tag):
        """Seconds."""
        raise NotImplementedError

    def restore(self, tag, target):
        """All of it into the directory `target`, which is not there. Seconds."""
        raise NotImplementedError

    def first_read(self, tag, target):
        """Seconds until a file can be read. What restores all or nothing needs as long as for all."""
        return self.restore(tag, target)

    def restored_tree(self, target):
        """Where `restore` has put the tree; None if it cannot be looked at."""
        return target

    def stored(self):
        return stored_bytes(self.store)


class StasisTool(Tool):
    """A running sandbox that has the tree."""

    name = "stasis"

    def __init__(self, stasis):
        self.stasis = stasis
        self.description = "stasis checkpoint of a running sandbox; export is all of it, restore the first read"
        self.reports = []

    @contextlib.contextmanager
    def opened(self, store, scratch, tree):
        self.layout = os.path.join(store, "layout")
        self.store = store
        with self.stasis.sandbox("snapshots", "--import", f"{tree}:{TREE}"):
            yield self

    def change(self, files, count, seed):
        self.stasis.python("snapshots", "snapshot_tree.py", "change", TREE, files, count, seed)

    def save(self, tag):
        report, seconds = self.stasis.run_json("checkpoint", "snapshots", f"{self.layout}:{tag}")
        self.reports.append(dict(report, command_s=seconds))
        return seconds

    def restore(self, tag, target):
        return self.stasis.run("export", f"{self.layout}:{tag}", target, "--path", TREE)[1]

    def first_read(self, tag, target):
        """By a program in the sandbox."""
        start = time.perf_counter()
        command = [self.stasis.program, "restore", "--name", "restored", "--prefetch", "none", f"{self.layout}:{tag}",
                   "--", "/bin/cat", path_of(TREE, 0)]
        try:
            process = subprocess.Popen(command, env=self.stasis.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            first = process.stdout.read(1)
            seconds = time.perf_counter() - start
            process.stdout.read()
            if process.wait() != 0 or not first:
                raise CommandFailed(f"restore: exit code {process.returncode}")
        except BaseException:
            self.stasis.stop("restored")
            raise
        return seconds


class Restic(Tool):
    name = program = "restic"
    description = "restic backup to a local repository (version 2, compression auto)"

    def prepare(self):
        self.env = dict(os.environ, RESTIC_PASSWORD="snapshots", RESTIC_CACHE_DIR=self.scratch,
                        RESTIC_REPOSITORY=self.store)
        run_command(["restic", "init", "-q"], env=self.env)

    def save(self, tag):
        return run_command(["restic", "backup", "-q", "--tag", tag, "."], cwd=self.plain, env=self.env)[1]

    def restore(self, tag, target):
        return run_command(["restic", "restore", "-q", "latest", "--tag", tag, "--target", target], env=self.env)[1]


class Borg(Tool):
    name = program = "borg"
    description = "borg create to a local repository, not encrypted, zstd level 1"

    def prepare(self):
        self.env = dict(os.environ, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes", BORG_BASE_DIR=self.scratch,
                        BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        run_command(["borg", "init", "--encryption", "none", self.store], env=self.env)

    def save(self, tag):
        return run_command(["borg", "create", "--compression", "zstd,1", f"{self.store}::{tag}", "."], cwd=self.plain,
                           env=self.env)[1]

    def restore(self, tag, target):
        os.mkdir(target)
        return run_command(["borg", "extract", f"{self.store}::{tag}"], cwd=target, env=self.env)[1]


class Casync(Tool):
    name = program = "casync"
    description = "casync make to a local store, with a cache"

    def save(self, tag):
        return run_command(["casync", "make", f"--store={self.store}/store.castr", f"--cache={self.scratch}",
                            f"{self.store}/{tag}.caidx", self.plain])[1]

    def restore(self, tag, target):
        os.mkdir(target)
        # Without seeds: what is there already is not to help.
        return run_command(["casync", "extract", f"--store={self.store}/store.castr", "--seed-output=no",
                            f"{self.store}/{tag}.caidx", target])[1]


class TarZstd(Tool):
    name = "tar | zstd"
    program = "zstd"
    description = "tar | zstd -1 -T2 to a file, all of it each time, not synced to the disk"

    def save(self, tag):
        return run_command(["bash", "-o", "pipefail", "-c", 'tar cf - -C "$1" . | zstd -q -1 -T2 -o "$2"', "save",
                            self.plain, self._file(tag)])[1]

    def restore(self, tag, target):
        os.mkdir(target)
        return run_command(["bash", "-o", "pipefail", "-c", 'zstd -dc "$1" | tar xf - -C "$2"', "restore",
                            self._file(tag), target])[1]

    def _file(self, tag):
        return os.path.join(self.store, f"{tag}.tar.zst")


class Runsc(Tool):
    """A sandbox of gVisor's with the tree on its tmpfs. A checkpoint ends it, and it goes on by a restore: nothing
    in it runs meanwhile. (-leave-running does the same, but hangs in Debian 12's version.)"""

    name = program = "runsc"
    description = "runsc checkpoint (ptrace), which ends the sandbox; tree on a tmpfs of its own; all of it each time"

    def __init__(self, files, size):
        self.files, self.size = files, size

    def available(self):
        reason = super().available()
        if reason:
            return reason
        try:
            run_command(["timeout", "-k", "1", "20", "runsc", "--network=none", "--platform=ptrace", "do", "/bin/true"])
        except CommandFailed as error:
            return f"does not run here: {error}"
        return None

    @contextlib.contextmanager
    def opened(self, store, scratch, tree):
        self.store, self.bundle = store, scratch
        with open(os.path.join(self.bundle, "config.json"), "w", encoding="utf-8") as out:
            json.dump(runsc_config(), out)
        try:
            self._runsc("run", "-detach", "-bundle", self.bundle, "snapshots")
            self._python("make", RUNSC_TREE, self.files, self.size)
            yield self
        finally:
            self._delete()

    def _command(self, *arguments):
        return ["timeout", "-k", "1", RUNSC_SECONDS, "runsc", f"--root={self.bundle}/root", "--network=none",
                "--platform=ptrace", "--overlay", "--ignore-cgroups", *arguments]

    def _runsc(self, *arguments):
        """What is left in the background must not hold our pipes."""
        with open(os.path.join(self.bundle, "log"), "w+b") as log:
            start = time.perf_counter()
            done = subprocess.run(self._command(*arguments), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  start_new_session=True, check=False)
            seconds = time.perf_counter() - start
            log.seek(0)
            if done.returncode != 0:
                said = log.read().decode(errors="replace").strip().splitlines()[-2:]
                raise CommandFailed(f"runsc {arguments[0]}: exit code {done.returncode}: {' | '.join(said)}")
        return seconds

    def _delete(self):
        """Its end, if it is there; what goes wrong is said."""
        try:
            self._runsc("delete", "-force", "snapshots")
        except CommandFailed as error:
            print(error, file=sys.stderr)

    def _python(self, *arguments):
        self._runsc("exec", "snapshots", "/usr/bin/python3", "-B", f"{SOURCES}/snapshot_tree.py", *map(str, arguments))

    def change(self, files, count, seed):
        self._python("change", RUNSC_TREE, files, count, seed)

    def save(self, tag):
        os.mkdir(self._image(tag))
        seconds = self._runsc("checkpoint", f"-image-path={self._image(tag)}", "snapshots")
        self.restore(tag, None)
        return seconds

    def restore(self, tag, target):
        """Until a program in it has read a file; all of the tree is in memory then."""
        self._delete()
        seconds = self._runsc("restore", "-detach", "-bundle", self.bundle, f"-image-path={self._image(tag)}",
                              "snapshots")
        return seconds + self._runsc("exec", "snapshots", "/bin/cat", path_of(RUNSC_TREE, 0))

    def restored_tree(self, target):
        return None

    def _image(self, tag):
        return os.path.join(self.store, tag)


def runsc_config():
    """The host's root, read-only below an overlay in memory, and a tmpfs."""
    return {
        "ociVersion": "1.0.0",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "1000000"], "cwd": "/",
                    "env": ["PATH=/usr/bin:/bin"]},
        "root": {"path": "/", "readonly": True},
        "mounts": [{"destination": RUNSC_TREE, "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]},
    }
