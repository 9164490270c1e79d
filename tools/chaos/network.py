"""What needs the kernel's help: a network namespace for one node, a small file system, a wall clock that is off."""
import fcntl
import glob
import os
import shutil
import subprocess
import time

SUBNET = "10.213.7"
NAMESPACE, BRIDGE, OUTSIDE = "backstitch-chaos", "bstitch0", "bstitch1"
LOCK = "/run/backstitch-chaos.lock"
DISK_BYTES = 512 << 20


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True).returncode == 0


class Network:
    """Loopback for everybody; or a host-only bridge with one node behind it in a namespace of its own."""

    def __init__(self, node=None):
        self.node, self.gateway = node, f"{SUBNET}.1" if node else "127.0.0.1"

    @staticmethod
    def claim():
        """Makes the namespace this process's own. @return why there can be none, or nothing"""
        if os.getuid() != 0:
            return "needs root"
        if shutil.which("ip") is None:
            return "needs ip (Debian package iproute2)"
        try:
            # Held until the process ends, however it does.
            Network.lock = open(LOCK, "w", encoding="utf-8")
            fcntl.flock(Network.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return "is in use by another run"
        probe = f"{NAMESPACE}-probe"
        # In a chroot a namespace can be made, and nothing be run in it.
        works = run("ip", "netns", "add", probe, check=False) and run("ip", "netns", "exec", probe, "true", check=False)
        run("ip", "netns", "del", probe, check=False)
        return None if works else "is refused by the kernel"

    def __enter__(self):
        if self.node is None:
            return self
        self.remove()
        inside = ("ip", "netns", "exec", NAMESPACE, "ip")
        try:
            for command in (("ip", "link", "add", BRIDGE, "type", "bridge"),
                            ("ip", "addr", "add", f"{self.gateway}/24", "dev", BRIDGE),
                            ("ip", "link", "set", BRIDGE, "up"),
                            ("ip", "netns", "add", NAMESPACE),
                            ("ip", "link", "add", OUTSIDE, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE),
                            ("ip", "link", "set", OUTSIDE, "master", BRIDGE, "up"),
                            (*inside, "addr", "add", f"{SUBNET}.2/24", "dev", "eth0"),
                            (*inside, "link", "set", "eth0", "up"), (*inside, "link", "set", "lo", "up")):
                run(*command)
        except BaseException:
            self.remove()
            raise
        return self

    def node_address(self, name):
        return f"{SUBNET}.2" if name == self.node else "127.0.0.1"

    def enter(self, name):
        """What stands before a node's command."""
        return ("ip", "netns", "exec", NAMESPACE) if name == self.node else ()

    def cut(self):
        run("ip", "link", "set", OUTSIDE, "down")

    def heal(self):
        if self.node is not None:
            run("ip", "link", "set", OUTSIDE, "up")

    def remove(self):
        run("ip", "link", "del", OUTSIDE, check=False)
        run("ip", "netns", "del", NAMESPACE, check=False)
        run("ip", "link", "del", BRIDGE, check=False)

    def __exit__(self, *_):
        if self.node is not None:
            self.remove()


def disk_impossible():
    """Why there can be no small file system, or nothing."""
    return None if os.getuid() == 0 else "needs root"


def mount(folder):
    return run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", folder, check=False)


def unmount(folder):
    run("umount", folder, check=False) or run("umount", "-l", folder, check=False)


def fill(folder):
    """Takes all that is left. @return the file to remove"""
    path = os.path.join(folder, "filler")
    with open(path, "wb") as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
                file.flush()
        except OSError:
            pass
    return path


def clock_library():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return found[0] if found else None


def clock_impossible():
    if clock_library() is None:
        return "needs libfaketime (Debian package faketime)"
    # See plan.CLOCK_OFF: "now" becomes an hour after boot, which has to have passed.
    return None if time.clock_gettime(time.CLOCK_BOOTTIME) > 3700 else "needs a machine that is up for an hour"


def clock_off(seconds):
    """The environment in which a program's wall clock is `seconds` off; its monotonic clock is not."""
    return {"LD_PRELOAD": clock_library(), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1"}
