"""Run a command with a terminal of its own: python terminal.py DESCRIPTOR COMMAND ..."""

import fcntl
import os
import sys
import termios

if __name__ == "__main__":
    os.setsid()
    descriptor = int(sys.argv[1])
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
    for standard in (0, 1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    os.execv(sys.argv[2], sys.argv[2:])
