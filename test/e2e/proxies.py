"""Real proxies as processes of a script's own: a configuration in a temporary folder, loopback only, ended by process id."""
import os
import shutil
import signal
import subprocess
import tempfile

from support import harness

# Debian installs some of them where only an administrator's shell looks.
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Proxy:
    """One proxy program; `{folder}` in its configuration is its folder.

    Used as a context manager. `url`, if given, is asked until it answers, whatever the status.
    """

    NAME = PROGRAM = PACKAGE = None
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

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self):
        """The configuration, as it is now."""
        with open(self.path("configuration"), "w", encoding="utf-8") as file:
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
        return [self.program(), "-c", self.path("configuration"), "-e", self.path("log")]

    def reload(self):
        self.write()
        self.process.send_signal(signal.SIGHUP)
