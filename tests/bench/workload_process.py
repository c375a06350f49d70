# SPDX-License-Identifier: Apache-2.0
"""Running the programs that workloads and filesystems consist of."""

import ctypes
import os
import signal
import subprocess
import time

TIMEOUT_SECONDS = 600
KILL_SECONDS = 10
CLONE_NEWNS = 0x00020000


class CommandFailed(Exception):
    """A program failed or took too long; the text says which, and ends with what it said."""


def run_command(command, cwd=None, env=None):
    """Runs `command` and returns (what it wrote to its standard output, seconds).

    It and its children are a session of their own, which is killed if anything goes wrong: after
    CommandFailed or KeyboardInterrupt none of them runs any more, but for those that wait for a FUSE server
    which does not answer. They end with that server.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{command[0]}: not done after {TIMEOUT_SECONDS} s") from None
    finally:
        if process.poll() is None:
            kill_session(process)
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        said = " | ".join((err or out).strip().splitlines()[-3:])
        raise CommandFailed(f"{' '.join(command)[:120]}: exit code {process.returncode}: {said}")
    return out, seconds


def kill_session(process):
    os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        pass


def start_server(command, log):
    """Starts a program that serves a filesystem. It dies with this process, but not by Ctrl-C."""
    with open(log, "wb") as out:
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out, start_new_session=True)


def enter_private_mount_namespace():
    """What this process mounts is seen by nobody else, and is gone when it and its children are."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    run_command(["mount", "--make-rprivate", "/"])
