#!/usr/bin/env python3
"""Writes a C++ source with the error codes of a page: embed_errors.py OUTPUT docs/errors.md

A row of the page's first table is `| `code`, `code` | status | meaning and remedy |`.
"""
import json
import pathlib
import re
import sys

ROW = re.compile(r"^\| (`[^|]*`) \| ([^|]+) \| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def pages(text):
    """(code, status, text) of every code, sorted."""
    found = [(code, status, LINK.sub(r"\1", meaning))
             for codes, status, meaning in ROW.findall(text)
             for code in re.findall(r"`([^`]+)`", codes)]
    codes = [page[0] for page in found]
    duplicated = {code for code in codes if codes.count(code) > 1}
    if duplicated or not found:
        sys.exit(f"docs/errors.md: these codes need exactly one row: {sorted(duplicated)}")
    return sorted(found)


def main():
    output, source = sys.argv[1:]
    rows = [f"    {{{', '.join(json.dumps(cell, ensure_ascii=False) for cell in page)}}},\n"
            for page in pages(pathlib.Path(source).read_text(encoding="utf-8"))]
    pathlib.Path(output).write_text(
        "// Written by tools/embed_errors.py from docs/errors.md.\n"
        '#include "errors.hpp"\n\n'
        "namespace backstitch::rest {\n\n"
        "std::span<const ErrorPage> error_pages() {\n"
        "  static constexpr ErrorPage pages[] = {\n" + "".join(rows) + "  };\n  return pages;\n}\n\n"
        "}  // namespace backstitch::rest\n", encoding="utf-8")


if __name__ == "__main__":
    main()
