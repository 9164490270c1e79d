"""What docs/guide/behind-a-proxy.md says, for the suite to hold it to."""
import os
import re

from support import harness

with open(os.path.join(harness.ROOT, "docs", "guide", "behind-a-proxy.md"), encoding="utf-8") as file:
    TEXT = file.read()
# The ends that may be wrong without `answers`, by name.
KNOWN_WRONGS = frozenset(re.findall(r"^\| `([a-z0-9-]+)` \|", TEXT, re.MULTILINE))
# By proxy: what it says when there is no participant, when its answer was lost, and when it was too slow.
STATUSES = {name: tuple(map(int, statuses)) for name, *statuses in
            re.findall(r"^\| (\w+) \| (\d{3}) \| (\d{3}) \| (\d{3}) \|", TEXT, re.MULTILINE)}
