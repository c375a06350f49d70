#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The include-direction check finds what it must, and lets pass what it must."""

import os
import subprocess
import sys
import tempfile
import unittest

from include_direction import check_text

REFUSED = [
    ("state/graph.cc", '#include "vfs/mount.h"', "only point left"),
    ("vfs/mount.cc", '#include "fsimpl/memfs/memfs.h"', "only point left"),
    ("fsimpl/memfs/memfs.cc", '#include "restore/checkpoint.h"', "only point left"),
    ("restore/checkpoint.cc", '#  include "cmd/fuse/server.h"', "only point left"),
    ("vfs/gen/vfs.state.cc", '#include "restore/checkpoint.h"', "only point left"),
    ("vfs/state.capnp", 'using Image = import "/restore/image.capnp";', "only point left"),
    ("fsimpl/overlay/overlay.cc", '#include "fsimpl/memfs/memfs.h"', "another filesystem"),
    ("cmd/stasis/main.cc", '#include "tests/testing/mount.h"', "nothing includes tests/"),
    ("state/base/slab.h", '#include "state/object.h"', "nothing else of state/"),
    ("vfs/mount.cc", '#include "mount.h"', "from the project's root"),
    ("state/codec.h", '#include "state/inode_codec.h"', "nothing of filesystems"),
    ("state/codec.h", "#include <sys/mount.h>", "nothing of filesystems"),
    ("vfs/mount.cc", "#include <sys/mount.h>", "no host system calls"),
    ("vfs/mount.cc", "#include <sys/socket.h>", "no host system calls"),
    ("vfs/mount.cc", "#include <capnp/message.h>", "Cap'n Proto"),
    ("restore/restore.cc", "#include <linux/fuse.h>", "does not know FUSE"),
    ("restore/restore.cc", "#include <sys/socket.h>", "no sockets"),
    ("restore/image/layout.cc", "#include <CLI/CLI.hpp>", "no command line"),
]

ALLOWED = [
    ("vfs/mount.cc", '#include "vfs/mount.h"'),
    ("vfs/mount.cc", '#include "state/base/result.h"'),
    ("vfs/mount.cc", "#include <fcntl.h>"),
    ("vfs/mount.cc", '// #include "cmd/fuse/server.h"'),
    ("vfs/gen/vfs.state.cc", "#include <capnp/message.h>"),
    ("vfs/gen/vfs.state.cc", '#include "vfs.state.capnp.h"'),
    ("fsimpl/memfs/inode.cc", '#include "fsimpl/memfs/memfs.h"'),
    ("restore/checkpoint.cc", '#include "fsimpl/memfs/memfs.h"'),
    ("cmd/fuse/server.cc", "#include <linux/fuse.h>"),
    ("vfs/gen/vfs.state.capnp", 'using Table = import "/state/table.capnp";'),
    ("vfs/table.capnp", 'using Cxx = import "/capnp/c++.capnp";'),
    ("state/base/slab.cc", "#include <sys/mman.h>"),
    ("vfs/watches.cc", "#include <sys/inotify.h>"),
]


class IncludeDirection(unittest.TestCase):
    def test_refuses(self):
        for source, line, reason in REFUSED:
            with self.subTest(source=source, line=line):
                found = list(check_text(source, "\n" + line + "\n"))
                self.assertEqual(len(found), 1)
                self.assertEqual(found[0][0], 2)
                self.assertIn(reason, found[0][2])

    def test_allows(self):
        for source, line in ALLOWED:
            with self.subTest(source=source, line=line):
                self.assertEqual(list(check_text(source, line)), [])

    def run_on(self, root):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "include_direction.py")
        return subprocess.run([sys.executable, script, root], capture_output=True, text=True)

    def test_exit_code_names_the_line(self):
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(os.path.join(root, "vfs"))
            with open(os.path.join(root, "vfs", "a.h"), "w") as file:
                file.write('#include "cmd/main.h"\n')
            done = self.run_on(root)
        self.assertEqual(done.returncode, 1)
        self.assertIn("vfs/a.h:1: ", done.stdout)

    def test_an_empty_tree_is_an_error(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertNotEqual(self.run_on(root).returncode, 0)


if __name__ == "__main__":
    unittest.main()
