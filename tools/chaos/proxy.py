#!/usr/bin/env python3
"""A TCP proxy that misbehaves as told: a program of its own, so that its work never waits for the load's.

    proxy.py < commands > answers       one JSON object a line; it ends with its standard input

    {"open": NAME, "listen": HOST, "target": [HOST, PORT], "postgres": true}   -> {"port": N}
    {"set": NAME, "mode": MODE, ...}                                           -> {"ok": true}
    {"stats": true}                                                            -> {NAME: {"connections", "cuts", ...}}

Modes: `pass`; `delay` (`ms` before each piece); `throttle` (`bytesPerSecond`); `black-hole` (nothing is forwarded, nothing
closed; what was on its way arrives when it ends); `reset` (RST now and for whoever comes); `half-open` (one end is reset,
the other, `hangs`: "client" or "server", is never told; new connections pass); `cut` (`count` answers to a committed append
are swallowed and the connection is reset; PostgreSQL only).
"""
import asyncio
import json
import os
import socket
import struct
import sys

PIECE = 65536
# Of a message only the beginning matters: the statement's name and text.
HEAD_MAX = 512
UNTYPED = {80877103, 80877104}  # SSLRequest, GSSENCRequest: answered by one byte, before the protocol begins


class Frontend:
    """Follows what a PostgreSQL client sends, as far as needed to see that it executes an append."""

    def __init__(self):
        self.started = False
        self.statements = set()
        self.buffer = bytearray()
        self.skip = 0

    def appends(self, data):
        """How many executions of the append statement are bound in `data`, a piece of the stream."""
        found = 0
        self.buffer += data
        while True:
            if self.skip:
                gone = min(self.skip, len(self.buffer))
                del self.buffer[:gone]
                self.skip -= gone
                if self.skip:
                    return found
            kind, length, header = self.header()
            if length is None:
                return found
            wanted = min(header + length - 4, HEAD_MAX)
            if len(self.buffer) < wanted:
                return found
            body = bytes(self.buffer[header:wanted])
            found += self.message(kind, body)
            self.skip = header + length - 4

    def header(self):
        """(type, length as sent, where the body begins); no length: not there yet."""
        if not self.started:
            return (None, *((struct.unpack_from("!i", self.buffer)[0], 4) if len(self.buffer) >= 4 else (None, 4)))
        if len(self.buffer) < 5:
            return None, None, 5
        return chr(self.buffer[0]), struct.unpack_from("!i", self.buffer, 1)[0], 5

    def message(self, kind, body):
        if kind is None:
            self.started = struct.unpack_from("!i", body)[0] not in UNTYPED
            return 0
        if kind == "P":
            name, text = body.split(b"\0", 1)
            if b"append_batch" in text:
                self.statements.add(name)
        if kind == "B":
            return int(body.split(b"\0", 2)[1] in self.statements)
        return 0


class Backend:
    """Follows what a PostgreSQL server sends after the start, to see the end of an answer: ReadyForQuery."""

    def __init__(self):
        self.head = bytearray()
        self.skip = 0

    def ready(self, data):
        """How often the server said in `data` that it is ready: an implicit transaction is committed by then."""
        found, at = 0, 0
        while at < len(data):
            if self.skip:
                gone = min(self.skip, len(data) - at)
                at, self.skip = at + gone, self.skip - gone
                continue
            missing = 5 - len(self.head)
            self.head += data[at:at + missing]
            at += missing
            if len(self.head) == 5:
                found += self.head[0] == ord("Z")
                self.skip = struct.unpack_from("!i", self.head, 1)[0] - 4
                self.head.clear()
        return found


class Connection:
    """One client and its connection to the target."""

    def __init__(self, link, reader, writer):
        self.link, self.client_reader, self.client = link, reader, writer
        self.server_reader = self.server = None
        self.frontend = Frontend() if link.postgres else None
        self.backend = Backend() if link.postgres else None
        self.swallows = False  # the answer that comes is not for the client
        self.hangs = None      # which end is never told

    async def run(self):
        try:
            await self.link.gate()
            self.server_reader, self.server = await asyncio.open_connection(*self.link.target)
            await asyncio.gather(self.pump(self.client_reader, self.server, self.upward),
                                 self.pump(self.server_reader, self.client, self.downward))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            if self.hangs is None:
                self.reset()

    async def pump(self, reader, writer, look):
        try:
            while data := await reader.read(PIECE):
                data = look(data)
                await self.link.hold(len(data))
                if data and self.hangs is None:
                    writer.write(data)
                    await writer.drain()
            await self.link.gate()
            if self.hangs is None and writer.can_write_eof():
                writer.write_eof()
        except OSError:
            if self.hangs is None:
                self.reset()

    def upward(self, data):
        if self.frontend and self.frontend.appends(data) and self.link.cuts_left > 0:
            self.link.cuts_left -= 1
            self.swallows = True
        return data

    def downward(self, data):
        if self.backend is None or not self.frontend.started:
            return data
        ready = self.backend.ready(data)
        if not self.swallows:
            return data
        if ready:
            self.link.stats["cuts"] += 1
            self.reset()
        return b""

    def half_open(self, hangs):
        self.hangs = hangs
        reset(self.server if hangs == "client" else self.client)

    def reset(self):
        reset(self.client)
        reset(self.server)


class Link:
    def __init__(self, target, postgres):
        self.target, self.postgres = target, postgres
        self.connections = set()
        self.open = asyncio.Event()
        self.stats = {"connections": 0, "bytes": 0, "cuts": 0, "resets": 0}
        self.cuts_left = 0
        self.set({"mode": "pass"})

    def set(self, command):
        self.mode = command["mode"]
        self.delay = command.get("ms", 0) / 1000 if self.mode == "delay" else 0
        self.rate = command["bytesPerSecond"] if self.mode == "throttle" else None
        self.cuts_left = command["count"] if self.mode == "cut" else 0
        if self.mode == "black-hole":
            self.open.clear()
        else:
            self.open.set()
        for connection in list(self.connections):
            if self.mode == "reset" or connection.hangs is not None:
                connection.hangs = None
                connection.reset()
                self.stats["resets"] += 1
            elif self.mode == "half-open" and connection.server is not None:
                connection.half_open(command["hangs"])
                self.stats["resets"] += 1

    async def gate(self):
        await self.open.wait()

    async def hold(self, size):
        """Waits as long as a piece of `size` bytes has to wait in this mode."""
        self.stats["bytes"] += size
        await self.open.wait()
        wait = self.delay + (size / self.rate if self.rate else 0)
        if wait:
            await asyncio.sleep(wait)
            await self.open.wait()

    async def accept(self, reader, writer):
        self.stats["connections"] += 1
        # On a bridge, nobody but this machine's own processes is served.
        peer, own = (writer.get_extra_info(end)[0].rsplit(".", 1)[0] for end in ("peername", "sockname"))
        if self.mode == "reset" or peer != own:
            return reset(writer)
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        await connection.run()
        while connection.hangs is not None:
            await asyncio.sleep(0.1)  # poll: the end that hangs keeps its socket
        self.connections.discard(connection)


def reset(writer):
    """Ends a connection with RST, whatever is on its way."""
    if writer is None or writer.transport.is_closing():
        return
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    def __init__(self):
        self.links = {}
        self.servers = []

    async def command(self, command):
        if "open" in command:
            link = Link(tuple(command["target"]), command.get("postgres", False))
            server = await asyncio.start_server(link.accept, command.get("listen", "127.0.0.1"), 0)
            self.links[command["open"]] = link
            self.servers.append(server)
            return {"port": server.sockets[0].getsockname()[1]}
        if "set" in command:
            self.links[command["set"]].set(command)
            return {"ok": True}
        return {name: {**link.stats, "mode": link.mode, "open": len(link.connections)} for name, link in self.links.items()}

    async def serve(self):
        loop = asyncio.get_running_loop()
        commands = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        while line := await commands.readline():
            print(json.dumps(await self.command(json.loads(line))), flush=True)


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(Proxy().serve())
    # Connections that hang are meant to; nobody is left to be told of their end.
    os._exit(0)
