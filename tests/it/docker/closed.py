"""Opens a mailbox in a shell at a pseudo-terminal and closes the terminal. The program is argv[1:]."""
import os, pty, select, sys, time

PATIENCE_SECS = 60
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])


def hears(typed, wanted):
    os.write(terminal, typed)
    deadline, said = time.time() + PATIENCE_SECS, b""
    while wanted not in said:
        if time.time() > deadline:
            sys.exit(f"no {wanted!r} after {typed!r}: {said!r}")
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 4096)


hears(b"nc mail 110\r", b"+OK")
hears(b"USER user2\n", b"+OK")
hears(b"PASS Usuario2\n", b"+OK")
# As a window that is closed: the terminal hangs up.
os.close(terminal)
os.waitpid(child, 0)
