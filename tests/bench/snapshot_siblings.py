# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that are restored from one image, beside trees that are unpacked from one archive."""

import contextlib
import json
import os
import shutil
import statistics
import time

import snapshot_tree
from snapshot_forks import used_bytes
from snapshot_part import Part
from snapshot_sandbox import TREE, pss_bytes
from workload_process import CommandFailed, run_command

COLUMNS = ("stasis", "tar, zstd")
LOAD_SECONDS = 120


class Siblings(Part):
    name = "siblings"
    description = "sandboxes of one image with all of its data in memory, beside trees unpacked in memory"

    def measure(self):
        self.notes += ["stasis: stasis restore --prefetch all, until all data is in memory; memory: mean PSS of the "
                       "daemons, and what they share",
                       "tar, zstd: onto a tmpfs; memory: what a tree occupies"]
        counts = self.sizes.forks
        self.times = {count: self.row(f"sibling number {count}", "ms", "stasis", COLUMNS) for count in counts}
        self.memory = {count: self.row(f"memory of each of {count}", "MiB", "stasis", COLUMNS) for count in counts}
        self.layout = os.path.join(self.disk, "siblings")
        self.archive = os.path.join(self.disk, "siblings.tar.zst")
        tree = os.path.join(self.tmpfs, "tree")
        snapshot_tree.make(tree, self.sizes.fork_files, self.sizes.fork_bytes)
        with self.stasis.sandbox("parent", "--import", f"{tree}:{TREE}"):
            self.stasis.run("checkpoint", "parent", f"{self.layout}:v1")
        run_command(["tar", "-C", tree, "-I", "zstd -1", "-cf", self.archive, "."])
        shutil.rmtree(tree)
        for _ in range(self.repetitions):
            self._measure_siblings()
            for count in counts:
                self._measure_tree(count)
        shutil.rmtree(self.layout)
        os.unlink(self.archive)

    def _measure_siblings(self):
        daemons = []
        with contextlib.ExitStack() as siblings:
            for number in range(1, max(self.sizes.forks) + 1):
                siblings.callback(self.stasis.stop, f"sibling{number}")
                start = time.perf_counter()
                report, _ = self.stasis.run_json("restore", f"{self.layout}:v1", "--detach", "--name",
                                                 f"sibling{number}", "--prefetch", "all")
                daemons.append(report["daemon_pid"])
                shared = self._await_loaded(f"sibling{number}")
                seconds = time.perf_counter() - start
                if number in self.times:
                    own = statistics.mean(pss_bytes(pid) for pid in daemons)
                    self._add("stasis", number, seconds * 1e3, own + shared / number)

    def _await_loaded(self, name):
        """Bytes of memory that it shares."""
        end = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            for info in json.loads(self.stasis.run("ps", "--json")[0])["sandboxes"]:
                if info["name"] == name and info["prefetch"]["state"] == "done":
                    return info["shared_memory_bytes"]
            time.sleep(0.01)
        raise CommandFailed(f"{name} has not loaded its data within {LOAD_SECONDS} s")

    def _measure_tree(self, count):
        target = os.path.join(self.tmpfs, "unpacked")
        os.mkdir(target)
        before = used_bytes(self.tmpfs)
        _, seconds = run_command(["tar", "-C", target, "-I", "zstd", "-xf", self.archive])
        self._add("tar, zstd", count, seconds * 1e3, used_bytes(self.tmpfs) - before)
        shutil.rmtree(target)

    def _add(self, column, count, milliseconds, memory):
        self.times[count].samples.setdefault(column, []).append(milliseconds)
        self.memory[count].samples.setdefault(column, []).append(memory / (1 << 20))
