# SPDX-License-Identifier: Apache-2.0
"""Sandboxes for benchmarks: each is stopped whatever happens."""

import contextlib
import json
import os
import subprocess
import sys

from workload_process import CommandFailed, kill_session, run_command

SOURCES = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = "/scripts"  # where a sandbox sees SOURCES
TREE = "/tree"
NOT_FOUND = 10  # an exit code


class Stasis:
    """The program, with a runtime directory of its own."""

    def __init__(self, program, directory):
        self.program = program
        self.env = dict(os.environ, STASIS_RUNTIME_DIR=directory)

    def run(self, *arguments):
        """(what it wrote, seconds)"""
        return run_command([self.program, *arguments], env=self.env)

    def run_json(self, *arguments):
        """(the document, seconds)"""
        out, seconds = self.run(*arguments, "--json")
        return json.loads(out), seconds

    def stop(self, name):
        """What cannot be stopped is said, and nothing else happens."""
        done = subprocess.run([self.program, "stop", "--timeout", "1", name], env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if done.returncode not in (0, NOT_FOUND):
            print(f"stop {name}: {done.stderr.strip()}", file=sys.stderr)

    @contextlib.contextmanager
    def sandbox(self, name, *options):
        try:
            started, _ = self.run_json("run", "--detach", "--name", name, "--bind", f"{SOURCES}:{SCRIPTS}:ro", *options)
            yield started
        finally:
            self.stop(name)

    def python(self, name, script, *arguments):
        """Runs one of the scripts in a sandbox."""
        return self.run("exec", name, "--", "/usr/bin/python3", "-B", f"{SCRIPTS}/{script}", *map(str, arguments))

    @contextlib.contextmanager
    def conversation(self, name, script, *arguments):
        """A script in a sandbox that answers lines with lines: yields ask(line)."""
        command = [self.program, "exec", name, "--", "/usr/bin/python3", "-B", f"{SCRIPTS}/{script}", *arguments]
        process = subprocess.Popen(command, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   start_new_session=True)

        def ask(line=None):
            if line:
                process.stdin.write(line + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise CommandFailed(f"{script} in {name} ended: exit code {process.wait()}")
            return answer.strip()

        try:
            ask()
            yield ask
            process.stdin.close()
            process.wait()
        finally:
            if process.poll() is None:
                kill_session(process)


def raise_priority(started, nice):
    """Of the daemon, init and programs of a sandbox; of their autogroups too, beside which `nice` counts for little."""
    for pid in [started["daemon_pid"], *descendants(started["init_pid"])]:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), nice)
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as group:
            group.write(str(nice))


def descendants(pid):
    """A process and what it has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [pid, *(each for child in children.read().split() for each in descendants(int(child)))]


def pss_bytes(pid):
    """Memory of a process, of what is shared its part."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    raise CommandFailed(f"/proc/{pid}/smaps_rollup has no Pss")


def stored_bytes(directory):
    """The sizes of all files below it."""
    return sum(os.lstat(os.path.join(top, name)).st_size for top, _, files in os.walk(directory) for name in files)
