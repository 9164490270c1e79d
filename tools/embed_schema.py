#!/usr/bin/env python3
"""Writes a C++ source that holds the schema of the language: embed_schema.py OUTPUT FILE.json"""
import json
import pathlib
import sys

DELIMITER = "backstitch_json"
# Longer literals are not portable between compilers; adjacent ones are joined.
PIECE = 16000


def main():
    output, source = sys.argv[1:]
    text = pathlib.Path(source).read_text(encoding="utf-8")
    json.loads(text)  # what is no JSON stops the build, not an editor
    pieces = [text[i:i + PIECE] for i in range(0, len(text), PIECE)]
    literals = "\n".join(f'R"{DELIMITER}({piece}){DELIMITER}"' for piece in pieces)
    pathlib.Path(output).write_text(
        f"// Written by tools/embed_schema.py from {pathlib.Path(source).name}.\n"
        "#include <backstitch/dsl/language_schema.hpp>\n\n"
        "namespace backstitch::dsl {\n\n"
        f"std::string_view language_schema() {{\n  return {literals};\n}}\n\n"
        "}  // namespace backstitch::dsl\n", encoding="utf-8")


if __name__ == "__main__":
    main()
