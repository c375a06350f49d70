#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that an #include only points left: state <- vfs <- fsimpl <- restore <- cmd.

usage: include_direction.py ROOT

Prints each offending line as FILE:LINE: REASON; exits with 1 if there is any. What a room may not
contain is in the tables below. Tests may include anything, and are included by nothing.
"""

import os
import re
import sys

# Leftmost first: a room may include itself and those before it.
ROOMS = ["state", "vfs", "fsimpl", "restore", "cmd"]

HOST_CALLS = (r"(sys/(mount|socket|un|syscall|ioctl|epoll|inotify|uio|mman)|linux/(fuse|io_uring)"
              r"|netinet/.*|arpa/.*|dirent)\.h")
CAPNP = r"(capnp|kj)/.*"

# Folder: (pattern of what may not be included from there, why). `quoted` and <angled> includes alike.
# Generated code (a folder named gen) is exempt.
FORBIDDEN = {
    "state": [
        (r"(.*[/_])?(dentry|dentries|inode|inodes|mount|mounts|vfs|fsimpl|memfs|gofer|overlay|fuse"
         r"|xattr)([/_.].*)?", "state/ knows nothing of filesystems"),
        (HOST_CALLS, "state/ makes no such system calls"),
    ],
    "vfs": [
        (HOST_CALLS, "vfs/ makes no host system calls"),
        (CAPNP, "vfs/ knows of Cap'n Proto only in generated code"),
    ],
    "restore": [
        (r"(linux/fuse|fuse.*)\.h|fuse.*/.*", "restore/ does not know FUSE"),
        (r"(sys/(socket|un)|netinet/.*|arpa/.*)\.h|capnp/.*rpc.*|kj/async-io\.h",
         "restore/ opens no sockets"),
        (r"CLI/.*", "restore/ reads no command line"),
    ],
}
# Memory for slabs and chunks comes from mmap; vfs/ has inotify's names of events, and calls nothing.
ALLOWED = {("state/base", "sys/mman.h"), ("vfs", "sys/inotify.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
IMPORT = re.compile(r'\bimport\s+"/([^"]+)"')  # in a .capnp


def room_of(path):
    return path.split("/", 1)[0]


def filesystem_of(path):
    """The name in fsimpl/NAME/..., or None."""
    parts = path.split("/")
    return parts[1] if parts[0] == "fsimpl" and len(parts) > 2 else None


def objection(source, target, quoted):
    """Why the file `source` may not include `target`, or None."""
    generated = "gen" in source.split("/")
    source_room, target_room = room_of(source), room_of(target)
    if target_room == "tests":
        return "nothing includes tests/"
    if target_room in ROOMS:
        if ROOMS.index(target_room) > ROOMS.index(source_room):
            return f"{source_room}/ may not include {target_room}/: includes only point left"
        if filesystem_of(source) and filesystem_of(target) not in (None, filesystem_of(source)):
            return "a filesystem may not include another filesystem"
        if source.startswith("state/base/") and not target.startswith("state/base/"):
            return "state/base/ includes nothing else of state/"
    elif quoted and not generated:
        return "write the path from the project's root, or <> for what is not ours"
    if generated:
        return None
    for folder, patterns in FORBIDDEN.items():
        if source.startswith(folder + "/"):
            for pattern, reason in patterns:
                if (os.path.dirname(source), target) in ALLOWED:
                    continue
                if re.fullmatch(pattern, target):
                    return reason
    return None


def included(source, line):
    """(what `line` of the file `source` includes or imports, if it does so in quotes), or None."""
    if source.endswith(".capnp"):
        found = IMPORT.search(line)
        return (found.group(1), False) if found and room_of(found.group(1)) in ROOMS else None
    found = INCLUDE.match(line)
    return (found.group(1) or found.group(2), found.group(1) is not None) if found else None


def check_text(source, text):
    """Yields (line number, what is included, why not)."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := included(source, line):
            if reason := objection(source, *found):
                yield number, found[0], reason


def check_tree(root):
    """Prints what is wrong below `root`. Returns (files read, offences)."""
    files = offences = 0
    for room in ROOMS:
        for folder, _, names in sorted(os.walk(os.path.join(root, room))):
            for name in sorted(names):
                if not name.endswith((".h", ".cc", ".capnp")):
                    continue
                path = os.path.join(folder, name)
                source = os.path.relpath(path, root)
                files += 1
                with open(path, encoding="utf-8") as file:
                    for line, target, reason in check_text(source, file.read()):
                        print(f"{source}:{line}: includes {target}: {reason}")
                        offences += 1
    return files, offences


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    files, offences = check_tree(sys.argv[1])
    if files == 0:
        sys.exit(f"{sys.argv[1]}: no sources found: not the project's root?")
    print(f"{files} files, {offences} offences")
    sys.exit(1 if offences else 0)


if __name__ == "__main__":
    main()
