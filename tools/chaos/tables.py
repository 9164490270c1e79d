"""What is read after a run: the database by SQL and the participants' ledgers. The checker sees nothing else."""
import csv
import dataclasses
import io
import json
import time

SAGAS = """select id, definition, status, last_sequence, shard, parent, business_key, failure_code, failure, wake_at
             from backstitch.saga"""
LOG = "select saga_id, sequence, type, path, data from backstitch.saga_log order by saga_id, sequence"
KEYS = "select scope, key, saga_id from backstitch.saga_key"
INBOX = "select id, saga_id, kind from backstitch.inbox"
AUDIT = "select saga_id, action, reason, detail from backstitch.audit"
# One order for both: the time of the commit, then of the change.
OWNED = """select pg_xact_commit_timestamp(xmin) as at, id, shard, epoch, node, owner, extract(epoch from at) as clock
             from chaos.owned order by 1, 2"""
WRITTEN = """select pg_xact_commit_timestamp(xmin) as at, saga_id, sequence, writer,
                    get_byte(uuid_send(saga_id), 15) as shard
               from chaos.written order by 1"""


@dataclasses.dataclass
class Tables:
    """Rows as dicts of text; `data`, `failure` and `detail` are parsed; `log` by saga, in order."""
    sagas: list = dataclasses.field(default_factory=list)
    log: dict = dataclasses.field(default_factory=dict)
    keys: list = dataclasses.field(default_factory=list)
    inbox: list = dataclasses.field(default_factory=list)
    audit: list = dataclasses.field(default_factory=list)
    owned: list = dataclasses.field(default_factory=list)
    written: list = dataclasses.field(default_factory=list)
    ledgers: dict = dataclasses.field(default_factory=dict)    # example -> entries in order
    judgements: list = dataclasses.field(default_factory=list)  # the participants' own


def rows(postgres, query):
    text = postgres.query(f"copy ({query}) to stdout with (format csv, header true, null '')")
    csv.field_size_limit(1 << 24)
    found = list(csv.DictReader(io.StringIO(text)))
    for row in found:
        for name in ("data", "failure", "detail"):
            if row.get(name):
                row[name] = json.loads(row[name])
        for name in ("sequence", "last_sequence", "shard", "epoch"):
            if row.get(name):
                row[name] = int(row[name])
    return found


def left_over(postgres, seconds=15):
    """Commands that nobody takes. A participant may tell its decision once more at any time; that is on its way, not left."""
    first, until = rows(postgres, INBOX), time.monotonic() + seconds
    while first and time.monotonic() < until:
        time.sleep(0.3)  # poll
        still = {row["id"] for row in rows(postgres, INBOX)}
        first = [row for row in first if row["id"] in still]
    return first


def read(postgres, participants):
    log = {}
    for row in rows(postgres, LOG):
        log.setdefault(row["saga_id"], []).append(row)
    return Tables(
        sagas=rows(postgres, SAGAS), log=log, keys=rows(postgres, KEYS), inbox=left_over(postgres),
        audit=rows(postgres, AUDIT), owned=rows(postgres, OWNED), written=rows(postgres, WRITTEN),
        ledgers={example: served.ledger() for example, served in participants.items()},
        judgements=[{**v, "example": example} for example, served in participants.items() for v in served.violations()])
