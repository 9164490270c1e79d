#!/usr/bin/env python3
"""Writes a C++ source that holds the migrations: embed_migrations.py OUTPUT FILE.sql..."""
import hashlib
import pathlib
import re
import sys

DELIMITER = "backstitch_sql"
# Longer literals are not portable between compilers; adjacent ones are joined.
PIECE = 16000


def literal(sql):
    pieces = [sql[i:i + PIECE] for i in range(0, len(sql), PIECE)]
    return "\n".join(f'R"{DELIMITER}({piece}){DELIMITER}"' for piece in pieces)


def entry(expected_version, path):
    match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", path.name)
    if not match:
        sys.exit(f"{path.name}: a migration is called like 0001_what_it_adds.sql")
    if int(match[1]) != expected_version:
        sys.exit(f"{path.name}: expected version {expected_version}; versions have no gaps")
    sql = path.read_text(encoding="utf-8")
    if not sql.startswith("-- Why: "):
        sys.exit(f"{path.name}: a migration opens with a line '-- Why: …'")
    digest = hashlib.sha256(sql.encode()).hexdigest()
    return f'    {{{expected_version}, "{match[2]}",\n{literal(sql)},\n     "{digest}"}},\n'


def main():
    output, *files = sys.argv[1:]
    paths = sorted(pathlib.Path(name) for name in files)
    entries = "".join(entry(version, path) for version, path in enumerate(paths, start=1))
    pathlib.Path(output).write_text(
        "// Written by tools/embed_migrations.py from migrations/*.sql.\n"
        "#include <backstitch/migrations/migrations.hpp>\n\n"
        "namespace backstitch::migrations {\nnamespace {\n"
        "constexpr Migration migrations[] = {\n" + entries + "};\n}  // namespace\n\n"
        "std::span<const Migration> all() { return migrations; }\n\n"
        "}  // namespace backstitch::migrations\n", encoding="utf-8")


if __name__ == "__main__":
    main()
