# SPDX-License-Identifier: Apache-2.0
"""Forks of a sandbox, beside copies of its tree."""

import contextlib
import os
import shutil
import statistics

import snapshot_tree
from snapshot_part import Hold, Part
from snapshot_sandbox import TREE, pss_bytes
from workload_process import run_command

BOUND_MS = 100
COLUMNS = ("stasis", "cp")


class Forks(Part):
    name = "forks"
    description = "forks of a sandbox, beside copies of its tree in memory"

    def measure(self):
        self.notes += ["stasis: stasis fork, until the command returns; memory: PSS of a fork's daemon, mean of all",
                       "cp: cp -a --reflink=never from a tmpfs to a tmpfs; memory: what the copy occupies"]
        counts = self.sizes.forks
        self.times = {count: self.row(f"fork number {count}", "ms", "stasis", COLUMNS) for count in counts}
        self.memory = {count: self.row(f"memory of each of {count}", "MiB", "stasis", COLUMNS) for count in counts}
        tree = os.path.join(self.tmpfs, "tree")
        snapshot_tree.make(tree, self.sizes.fork_files, self.sizes.fork_bytes)
        for _ in range(self.repetitions):
            self._measure_forks(tree)
            for count in counts:
                self._measure_copy(tree, count)
        shutil.rmtree(tree)
        self._add_holds()

    def _measure_forks(self, tree):
        daemons = []
        with contextlib.ExitStack() as forks, self.stasis.sandbox("forked", "--import", f"{tree}:{TREE}"):
            for number in range(1, max(self.sizes.forks) + 1):
                # Before it begins: a fork that fails half-way may be there too.
                forks.callback(self.stasis.stop, f"fork{number}")
                report, seconds = self.stasis.run_json("fork", "forked", f"fork{number}")
                daemons.append(report["daemon_pid"])
                self.raw.append({"number": number, "command_s": seconds, **report["fork"], "take": report["content"]})
                if number in self.times:
                    pss = statistics.mean(pss_bytes(pid) for pid in daemons)
                    self._add("stasis", number, seconds * 1e3, pss)

    def _measure_copy(self, tree, count):
        """`cp` copies alone each time: 16 copies at once may be more than there is memory for."""
        target = os.path.join(self.tmpfs, "copy")
        before = used_bytes(self.tmpfs)
        _, seconds = run_command(["cp", "-a", "--reflink=never", tree, target])
        self._add("cp", count, seconds * 1e3, used_bytes(self.tmpfs) - before)
        shutil.rmtree(target)

    def _add(self, column, count, milliseconds, memory):
        self.times[count].samples.setdefault(column, []).append(milliseconds)
        self.memory[count].samples.setdefault(column, []).append(memory / (1 << 20))

    def _add_holds(self):
        times = sorted(report["command_s"] * 1e3 for report in self.raw)
        pauses = sorted(report["pause_ns"] / 1e6 for report in self.raw)
        self.holds.append(Hold(f"a fork, median of {len(times)}", statistics.median(times), BOUND_MS, "ms"))
        self.holds.append(Hold("the longest of them", times[-1], BOUND_MS, "ms"))
        offer = statistics.median(report["wall_ns"] for report in self.raw) / 1e6
        take = statistics.median(report["take"]["wall_ns"] for report in self.raw) / 1e6
        self.notes.append(f"a fork takes {offer:.0f} ms in the daemon that is forked, and then {take:.0f} ms to load")
        self.notes.append(f"programs wait for a fork for {statistics.median(pauses):.1f} ms (worst {pauses[-1]:.1f})")


def used_bytes(directory):
    room = os.statvfs(directory)
    return (room.f_blocks - room.f_bfree) * room.f_frsize
