# SPDX-License-Identifier: Apache-2.0
#
# gvisor_relay.py COMMAND...: in a gVisor sandbox, mounts at /tmp/stasis what is served at the other
# end of the socket that is the standard input, and runs the command there. Carries the messages
# between the sandbox's own /dev/fuse and the socket.

import ctypes
import os
import socket
import subprocess
import sys
import threading

LARGEST = 2 << 20
PLACE = '/tmp/stasis'

server = socket.socket(fileno=os.dup(0))
device = os.open('/dev/fuse', os.O_RDWR)


def to_server():
    while True:
        server.send(os.read(device, LARGEST))


def to_sandbox():
    while message := server.recv(LARGEST):
        # Not notifications, which have no request: this client knows none.
        if message[8:16] != bytes(8):
            os.write(device, message)


os.mkdir(PLACE)
libc = ctypes.CDLL(None, use_errno=True)
options = f'fd={device},rootmode=40000,user_id=0,group_id=0,allow_other'
if libc.mount(b'stasis', PLACE.encode(), b'fuse', 0, options.encode()) != 0:
    sys.exit('mount: ' + os.strerror(ctypes.get_errno()))
for carry in to_server, to_sandbox:
    threading.Thread(target=carry, daemon=True).start()
code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, cwd=PLACE, timeout=60).returncode
os._exit(code)
