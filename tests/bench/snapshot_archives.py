# SPDX-License-Identifier: Apache-2.0
"""Saves of a tree, the first one and those after changes, and restores, beside programs that archive."""

import contextlib
import os
import shutil

import snapshot_tree
from snapshot_part import Hold, Part
from snapshot_tools import Borg, Casync, Restic, Runsc, StasisTool, TarZstd
from workload_process import CommandFailed, run_command

STEPS = (("first", 0), ("0.1 %", 0.001), ("1 %", 0.01), ("10 %", 0.1))
BYTES_BOUND, TIME_BOUND = 0.05, 0.10  # of the save after 1 %, to the first one


class Archives(Part):
    name = "archives"
    description = "saves of a tree, the first and after changes, and restores, beside archivers"

    def measure(self):
        tools = self._tools()
        self.rows = self._make_rows([tool.name for tool in tools])
        for repetition in range(self.repetitions):
            first = repetition % len(tools)
            self._measure_all(tools[first:] + tools[:first], repetition)
        self._add_holds()

    def _tools(self):
        """Those that there are."""
        ours = StasisTool(self.stasis)
        self.raw = ours.reports
        tools = [ours, Restic(), Borg(), Casync(), TarZstd(), Runsc(self.sizes.files, self.sizes.bytes)]
        reasons = {tool: tool.available() for tool in tools}
        self.notes += [f"left out: {tool.name}: {reason}" for tool, reason in reasons.items() if reason]
        present = [tool for tool, reason in reasons.items() if not reason]
        self.notes += [f"{tool.name}: {tool.description}" for tool in present]
        return present

    def _make_rows(self, names):
        rows = {}
        for step, _ in STEPS:
            after = "first save" if step == "first" else f"save after {step}"
            rows[step, "s"] = self.row(after, "s", "stasis", names)
            rows[step, "MB"] = self.row(f"{after}, stored", "MB", "stasis", names)
        rows["first read"] = self.row("restore to a read", "s", "stasis", names)
        rows["restore"] = self.row("restore of all", "s", "stasis", names)
        return rows

    def _measure_all(self, tools, repetition):
        tree = os.path.join(self.tmpfs, "tree")
        snapshot_tree.make(tree, self.sizes.files, self.sizes.bytes)
        with contextlib.ExitStack() as stack:
            opened = []
            for tool in tools:
                name = f"{tool.name.split()[0]}{repetition}"
                store, scratch = os.path.join(self.disk, name), os.path.join(self.tmpfs, name)
                os.mkdir(store)
                os.mkdir(scratch)
                with self._failing_on(tool):
                    opened.append(stack.enter_context(tool.opened(store, scratch, tree)))
            for number, (step, part) in enumerate(STEPS):
                self._change(opened, tree, round(part * self.sizes.files), repetition * len(STEPS) + number)
                for tool in opened:
                    with self._failing_on(tool):
                        self._save(tool, step, f"save{number}")
            for tool in opened:
                with self._failing_on(tool):
                    self._restore(tool, tree, f"save{len(STEPS) - 1}")
        shutil.rmtree(tree)

    def _change(self, tools, tree, count, seed):
        if not count:
            return
        snapshot_tree.change(tree, self.sizes.files, count, seed)
        for tool in tools:
            if self._failed(tool):
                continue
            with self._failing_on(tool):
                tool.change(self.sizes.files, count, seed)

    def _save(self, tool, step, tag):
        if self._failed(tool):
            return
        before = tool.stored()
        self._add(step, "s", tool, tool.save(tag))
        self._add(step, "MB", tool, (tool.stored() - before) / 1e6)
        run_command(["sync", "-f", self.disk])  # what it still has to write is not to go on beside the next one

    def _restore(self, tool, tree, tag):
        if self._failed(tool):
            return
        target = os.path.join(self.tmpfs, "restored")
        self.rows["first read"].samples.setdefault(tool.name, []).append(tool.first_read(tag, target))
        shutil.rmtree(target, ignore_errors=True)
        self.rows["restore"].samples.setdefault(tool.name, []).append(tool.restore(tag, target))
        restored = tool.restored_tree(target)
        if restored and snapshot_tree.digest(restored) != snapshot_tree.digest(tree):
            raise CommandFailed(f"{tool.name}: what was restored is not what was saved")
        shutil.rmtree(target, ignore_errors=True)

    def _add(self, step, unit, tool, value):
        self.rows[step, unit].samples.setdefault(tool.name, []).append(value)

    def _failed(self, tool):
        return any(tool.name in result.failures for result in self.results)

    @contextlib.contextmanager
    def _failing_on(self, tool):
        """A tool that fails is over there; the others go on."""
        try:
            yield
        except (CommandFailed, OSError) as error:
            for result in self.results:
                result.failures.setdefault(tool.name, str(error))

    def _add_holds(self):
        for unit, what, bound in (("MB", "bytes", BYTES_BOUND), ("s", "time", TIME_BOUND)):
            first, second = (self.rows[step, unit].median("stasis") for step in ("first", "1 %"))
            if first and second:
                self.holds.append(Hold(f"{what} of the save after 1 %, to the first", second / first, bound, "times"))
