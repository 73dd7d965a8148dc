"""Plays a shell at a pseudo-terminal: resizes it, interrupts what runs in it, ends it. The program is argv[1:]."""
import fcntl, os, pty, select, struct, sys, termios, time

PATIENCE_SECS = 60
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said = b""


def resize(rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def hears(typed, wanted):
    """Types until it is answered: the shell in the container may still be starting."""
    global said
    deadline, said = time.time() + PATIENCE_SECS, b""
    while time.time() < deadline:
        os.write(terminal, typed)
        again = time.time() + 2
        while time.time() < again:
            if select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 4096)
            if wanted in said:
                return
    sys.exit(f"no {wanted!r} after {typed!r}: {said!r}")


resize(24, 80)
hears(b"stty size\r", b"24 80")
resize(43, 132)
hears(b"stty size\r", b"43 132")
os.write(terminal, b"sleep 1000; echo not $((1000 + 1)) reached\r")
# The interrupt is the container's, not labctl's.
hears(b"\x03", b"^C")
hears(b"echo still $((6 * 7))\r", b"still 42")
if b"not 1001 reached" in said:
    sys.exit(f"it was not interrupted: {said!r}")
os.write(terminal, b"exit 7\r")
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass  # The other end is closed.
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
