"""An authority with a server's and a client's certificate, made anew whenever they are to rotate; by the openssl program."""
import os
import shutil
import subprocess
import tempfile


class Authority:
    @staticmethod
    def why_not():
        return None if shutil.which("openssl") else "openssl is not installed: apt-get install openssl"

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="backstitch-ca-")
        self.renew()
        return self

    def renew(self):
        """A new authority, and new certificates by it."""
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key",
                     "-out", "ca.pem", "-days", "2", "-subj", "/CN=mesh authority")
        for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
            with open(os.path.join(self.folder, "extension"), "w", encoding="utf-8") as file:
                file.write(extension)
            self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key",
                         "-out", f"{name}.csr", "-subj", f"/CN=mesh {name}")
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                         "-extfile", "extension", "-out", f"{name}.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def text(self, *names):
        texts = []
        for name in names:
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                texts.append(file.read())
        return "".join(texts)

    def write_server(self, folder):
        """What a proxy reads; its workers may be of another user."""
        for name in ("server.pem", "server.key", "ca.pem"):
            replace(os.path.join(folder, name), self.text(name), 0o644)

    def write_secrets(self, folder, tls, services):
        replace(os.path.join(folder, tls["ca"]), self.text("ca.pem"), 0o600)
        replace(os.path.join(folder, tls["clientCert"]), self.text("client.pem", "client.key"), 0o600)
        for name in tls.values():
            replace(os.path.join(folder, f"{name}.services"), "".join(f"{service}\n" for service in services), 0o600)

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def replace(path, text, mode):
    """As a whole: no reader sees a part."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
