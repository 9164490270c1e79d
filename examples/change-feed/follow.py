#!/usr/bin/env python3
"""Follows what happens to sagas: one line of JSON for each event of `backstitch.saga_log`, in the order of the commits.

    follow.py postgresql://feed@db/shop [--slot backstitch_feed] [--publication backstitch_log] [--once]

docs/change-feed.md says how to make the slot and the publication. An event is taken off the slot after its line was written,
so a follower that dies writes some lines again: their saga and sequence tell.
"""
import argparse
import json
import struct
import subprocess
import sys
import time

PAGE = 1000  # events, and then up to the end of the transaction
POLL_SECONDS = 1.0


class Message:
    """One message of the plugin pgoutput: PostgreSQL's documentation, "Logical Replication Message Formats"."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from("!" + layout, self.data, self.at)
        self.at += struct.calcsize("!" + layout)
        return values[0]

    def text(self):
        end = self.data.index(b"\0", self.at)
        value = self.data[self.at:end].decode()
        self.at = end + 1
        return value

    def columns(self):
        """Of a relation."""
        names = []
        for _ in range(self.take("h")):
            self.take("b")
            names.append(self.text())
            self.take("q")  # type and modifier
        return names

    def values(self):
        """Of a row; null and unchanged values are None."""
        row = []
        for _ in range(self.take("h")):
            kind = self.take("c")
            if kind != b"t":
                row.append(None)
                continue
            size = self.take("i")
            row.append(self.data[self.at:self.at + size].decode())
            self.at += size
        return row


class Feed:
    def __init__(self, database, slot, publication):
        self.psql = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"slot={slot}",
                     "-v", f"publication={publication}", "-d", database]
        self.columns = {}

    def query(self, statement, **variables):
        options = [x for name, value in variables.items() for x in ("-v", f"{name}={value}")]
        return subprocess.run([*self.psql, *options], input=statement, capture_output=True, text=True, check=True).stdout

    def read(self):
        """@return the events of whole transactions, and the position after them"""
        lines = self.query("select encode(data, 'hex') from pg_logical_slot_peek_binary_changes(:'slot', null, :page,"
                           " 'proto_version', '1', 'publication_names', :'publication')", page=PAGE).split()
        events, end = [], None
        for line in lines:
            message = Message(bytes.fromhex(line))
            kind = message.take("c")
            if kind == b"R":
                relation, _, _ = message.take("i"), message.text(), message.text()
                message.take("c")
                self.columns[relation] = message.columns()
            elif kind == b"I":
                columns = self.columns[message.take("i")]
                message.take("c")
                events.append(dict(zip(columns, message.values())))
            elif kind == b"C":
                message.take("b"), message.take("q")  # flags, and where the commit is
                end = message.take("q")
        return events, end

    def forget(self, end):
        self.query("select from pg_replication_slot_advance(:'slot', :'end')", end=f"{end >> 32:X}/{end & 0xFFFFFFFF:X}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--slot", default="backstitch_feed")
    parser.add_argument("--publication", default="backstitch_log")
    parser.add_argument("--once", action="store_true", help="end when there is nothing more")
    arguments = parser.parse_args()
    feed = Feed(arguments.database, arguments.slot, arguments.publication)
    while True:
        events, end = feed.read()
        for event in events:
            print(json.dumps({**event, "sequence": int(event["sequence"]), "data": json.loads(event["data"])}))
        sys.stdout.flush()
        if end is not None:
            feed.forget(end)
        elif arguments.once:
            return
        else:
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
