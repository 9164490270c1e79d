"""Real proxies as processes of a script's own: a configuration in a temporary folder, loopback only, ended by process id."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from support import harness

# Debian installs some of them where only an administrator's shell looks.
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


RELOAD_SECONDS = 1  # until a reload that has not begun is asked for again


class Proxy:
    """One proxy program; `{folder}` in its configuration is its folder.

    Used as a context manager. `url`, if given, is asked until it answers, whatever the status.
    """

    NAME = PROGRAM = PACKAGE = None
    CONFIGURATION = "configuration"  # the file's name
    START_SECONDS = 60

    def __init__(self, configuration, url=None):
        self.configuration, self.url, self.process, self.folder = configuration, url, None, None

    @classmethod
    def program(cls):
        """Its path, or None where it is not installed."""
        return shutil.which(cls.PROGRAM, path=SEARCH)

    @classmethod
    def why_not(cls):
        """Why it cannot run here; None if it can."""
        return None if cls.program() else f"{cls.NAME} is not installed: apt-get install {cls.PACKAGE}"

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix=f"backstitch-{self.PROGRAM}-")
        os.chmod(self.folder, 0o711)  # workers of another user pass through it
        try:
            self.write()
            self.process = self.run(self.command())
            if self.url:
                harness.wait_until(self.answers, self.START_SECONDS, f"{self.NAME} to answer")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def path(self, name=None):
        """Of a file of its folder; without a name, of its configuration."""
        return os.path.join(self.folder, name or self.CONFIGURATION)

    def write(self):
        """The configuration, as it is now."""
        with open(self.path(), "w", encoding="utf-8") as file:
            file.write(self.configuration.replace("{folder}", self.folder))

    def run(self, command):
        with open(self.path("log"), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=self.environment())

    def environment(self):
        return None

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.NAME} ended with {self.process.returncode}: {self.last_words()}")
        try:
            harness.request(self.url, "GET", "/")
        except OSError:
            return False
        return True

    def reload_by(self, sig):
        """For a proxy whose first process starts workers with the configuration as it is now. Returns once there is one."""
        before, sent = self.workers(), 0.0
        self.write()

        def has_reloaded():
            nonlocal sent
            if self.workers() - before:
                return True
            # A signal is lost on a process that is not through with the last one.
            if time.monotonic() - sent > RELOAD_SECONDS:
                sent = time.monotonic()
                self.process.send_signal(sig)
            return False
        harness.wait_until(has_reloaded, 60, f"{self.NAME} to reload")

    def workers(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as children:
            return set(children.read().split())

    def last_words(self):
        with open(self.path("log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-1500:]

    def __exit__(self, *_):
        harness.stop_process(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Proxy):
    """nginx with the servers of `configuration`."""

    NAME, PROGRAM, PACKAGE = "nginx", "nginx", "nginx-light"
    MAIN = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {}
http {
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
"""

    def __init__(self, configuration, url=None):
        super().__init__(self.MAIN + configuration + "\n}\n", url)

    def command(self):
        return [self.program(), "-c", self.path(), "-e", self.path("log")]

    def reload(self):
        self.reload_by(signal.SIGHUP)
