"""The proxy's side of the harness: opens links and sets what they do."""
import json
import os
import subprocess
import sys
import threading


class Links:
    """The proxy as a process; ends with the block.

    Threads: any; one command at a time.
    """

    def __init__(self):
        self.process, self.lock = None, threading.Lock()

    def __enter__(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "proxy.py")
        # A session of its own: Ctrl-C at the terminal is ours to hand on, in our order.
        self.process = subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, start_new_session=True)
        return self

    def command(self, **command):
        with self.lock:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def open(self, name, target, listen="127.0.0.1", postgres=False):
        """@return the port it listens on"""
        return self.command(open=name, target=list(target), listen=listen, postgres=postgres)["port"]

    def set(self, name, mode, **more):
        self.command(set=name, mode=mode, **more)

    def stats(self):
        return self.command(stats=True)

    def __exit__(self, *_):
        if self.process is None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
