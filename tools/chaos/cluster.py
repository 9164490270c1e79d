"""What a run is made of: PostgreSQL, three nodes, the participants, a proxy on every way, and who wrote what."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import network
from definitions import RENAMED, definitions, harness
from links import Links

NODES = ("node-a", "node-b", "node-c")
SHARING_SECONDS_MAX = 30
EXAMPLES = ("order", "travel", "transfer")
# Independent of the engine's own fence: which process wrote a row of the log, and which process every shard belonged to.
# Commit times order the two: a take-over waits for appends on their way, so a row's commit is earlier, or it is stale.
AUDIT = """
create schema chaos;
create table chaos.written (saga_id uuid, sequence bigint, writer text);
create function chaos.note_written() returns trigger language plpgsql as $$ begin
  insert into chaos.written select saga_id, sequence, current_setting('application_name') from fresh;
  return null;
end $$;
create trigger chaos_written after insert on backstitch.saga_log referencing new table as fresh
  for each statement execute function chaos.note_written();
create table chaos.owned (id bigint generated always as identity, at timestamptz not null default clock_timestamp(),
                          shard smallint, epoch bigint, node text, owner text);
create function chaos.note_owned() returns trigger language plpgsql as $$ begin
  insert into chaos.owned (shard, epoch, node, owner)
    values (new.shard, new.epoch, new.node, current_setting('application_name'));
  return null;
end $$;
create trigger chaos_owned after update on backstitch.shard for each row
  when (old.* is distinct from new.*) execute function chaos.note_owned();
"""
DURABLE = {"track_commit_timestamp": "on", "max_wal_size": "128MB", "min_wal_size": "32MB", "wal_recycle": "off"}


class Node(harness.Server):
    """`backstitch serve`, each start under a name of its own in PostgreSQL (`node-a.3`)."""

    def __init__(self, name, cluster):
        super().__init__(cluster.postgres.url, node=name, log=os.path.join(cluster.folder, f"{name}.log"))
        self.cluster, self.starts = cluster, 0
        self.host = cluster.network.node_address(name)
        self.url = f"http://{self.host}:{self.port}"

    @property
    def incarnation(self):
        return f"{self.node}.{self.starts}"

    def start(self, ready=False, clock=0):
        """@param clock seconds that its wall clock is off"""
        self.starts += 1
        cluster = self.cluster
        port = cluster.ports.get(f"postgres:{self.node}", cluster.postgres.port)
        database = (f"postgresql://backstitch@{cluster.network.gateway}:{port}/backstitch"
                    f"?application_name={self.incarnation}")
        environment = {**os.environ, **network.clock_off(clock)} if clock else None
        with open(self.log, "ab") as log:
            self.log_began = log.tell()
            self.process = subprocess.Popen(
                [*cluster.network.enter(self.node), harness.PROGRAM, "serve", "--database", database,
                 "--listen", f"{self.host}:{self.port}", "--node", self.node, "--lease", f"{cluster.lease}s",
                 "--allow-host", cluster.network.gateway, "--log-format", "json", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
        if ready:
            self.ready()

    def was_ready(self):
        """Whether this start of it came so far as to serve."""
        with open(self.log, "rb") as log:
            log.seek(self.log_began)
            return b'"ready"' in log.read()

    def events(self, names):
        """What it logged of these, in all its starts."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return [line.strip() for line in log if any(f'"event":"{name}"' in line for name in names)]

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            harness.stop_process(self.process, seconds=10)


class Postgres(harness.Postgres):
    """Durable, and on a file system of a limited size where that is asked for and possible."""

    def __init__(self, limited):
        super().__init__(DURABLE, tcp=True)  # nodes reach it through proxies
        self.mounted = limited and network.mount(self.folder)

    def remove_folder(self):
        if self.mounted:
            network.unmount(self.folder)
        super().remove_folder()


class Cluster:
    """Opened and closed as one; everything in it is ended by process id."""

    def __init__(self, lease=3, proxied=True, limited_disk=False, namespace=False, nodes=NODES):
        self.lease, self.proxied = lease, proxied
        self.folder = tempfile.mkdtemp(prefix="backstitch-chaos-")
        self.opened, self.ports, self.participants, self.services = [], {}, {}, {}
        self.links, self.network = Links(), network.Network(NODES[-1] if namespace else None)
        self.postgres = Postgres(limited_disk)
        self.nodes = {}
        self.names = nodes
        self.keep = False  # the nodes' logs

    def __enter__(self):
        try:
            for part in (self.network, self.links, self.postgres):
                self.open(part)
            for example in EXAMPLES:
                self.participants[example] = self.open(harness.Participants(harness.participants_program(example)))
            self.prepare_database()
            for name in self.names:
                self.nodes[name] = Node(name, self)
                if self.proxied:
                    self.link(f"postgres:{name}", self.postgres.port, postgres=True)
            for node in self.nodes.values():
                node.start()
            for node in self.nodes.values():
                node.ready()
            self.register()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def open(self, part):
        part.__enter__()
        self.opened.append(part)
        return part

    def link(self, name, port, postgres=False):
        self.ports[name] = self.links.open(name, ("127.0.0.1", port), self.network.gateway, postgres)
        return self.ports[name]

    def prepare_database(self):
        subprocess.run([harness.PROGRAM, "migrate", "--database", self.postgres.url], check=True,
                       stdout=subprocess.DEVNULL)
        self.postgres.query(AUDIT)

    def register(self):
        node = self.nodes[self.names[0]]
        for example, participants in self.participants.items():
            for name, url in participants.urls.items():
                name = RENAMED.get((example, name), name)
                self.services[name] = example
                port = int(url.rsplit(":", 1)[1])
                if self.proxied:
                    port = self.link(f"service:{name}", port)
                status, body, _ = node.api("PUT", f"/v1/services/{name}",
                                           {"baseUrl": f"http://{self.network.gateway}:{port}"})
                assert status in (200, 201), body
        for definition in definitions():
            node.register_text(json.dumps(definition))
        for other in self.nodes.values():
            harness.wait_until(lambda n=other: len(n.api("GET", "/v1/definitions")[1]["definitions"]) == len(definitions()),
                               20, f"{other.node} to know the definitions")

    def shards(self):
        """Shards by node that holds them."""
        rows = self.postgres.query("select node, count(*) from backstitch.shard where node is not null group by node")
        return {name: int(count) for name, count in (row.split("|") for row in rows.splitlines())}

    def is_shared(self):
        """Whether every node holds its share; one or two shards may lack, as 256 is no multiple of three."""
        share = 256 // len(self.nodes)
        shards = self.shards()
        return len(shards) == len(self.nodes) and min(shards.values()) >= share - 2

    def unshared(self, seconds=SHARING_SECONDS_MAX):
        """Waits for a fair share. @return what is wrong, in a list, if it does not come in time"""
        try:
            harness.wait_until(self.is_shared, seconds, "a fair share", 0.2)
        except TimeoutError:
            return [f"after {seconds} s: {self.shards()}"]
        return []

    def heal(self):
        """All faults end: every way is open, every process runs."""
        for name in self.ports:
            self.links.set(name, "pass")
        for participants in self.participants.values():
            participants.clear()
        self.network.heal()
        if self.postgres.process.poll() is not None:
            self.postgres.start()
        for node in self.nodes.values():
            node.process.send_signal(signal.SIGCONT)
            if node.process.poll() is not None:
                node.start()
        for node in self.nodes.values():
            node.ready(60)

    def __exit__(self, kind, *_):
        for node in self.nodes.values():
            node.close()
        while self.opened:
            self.opened.pop().__exit__(None, None, None)
        if self.keep or kind not in (None, KeyboardInterrupt):
            print(f"the nodes' logs: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder)
