#!/usr/bin/env python3
"""Every scenario against `bandrig schema`, as an editor would check it.

The validator is the PyPI package jsonschema, the YAML reader ruamel.yaml: neither shares a line with the bench. A list item
`!include file` stands for the steps of that file. Exit code 0 only when every scenario fits and nonsense does not.

    bandrig schema > schema.json
    python3 rig/tests/foreign/schema.py schema.json scenarios
"""

import json
import pathlib
import sys

import jsonschema
import ruamel.yaml


class Include:
    """`!include path`, relative to the file it stands in."""

    def __init__(self, path):
        self.path = path


def reader():
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    yaml.constructor.add_constructor("!include", lambda constructor, node: Include(constructor.construct_scalar(node)))
    # A date is text to the bench, and to JSON.
    yaml.constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda constructor, node: constructor.construct_scalar(node))
    return yaml


def load(path, depth=0):
    """The document with its includes written out."""
    if depth > 8:
        sys.exit(f"{path}: includes are nested too deeply")
    return expand(reader().load(path.read_text(encoding="utf-8")), path, depth)


def expand(value, path, depth):
    if isinstance(value, dict):
        return {key: expand(item, path, depth) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    items = []
    for item in value:
        if isinstance(item, Include):
            items.extend(load(path.parent / item.path, depth + 1))
        else:
            items.append(expand(item, path, depth))
    return items


def main(schema_path, root):
    schema = json.loads(pathlib.Path(schema_path).read_text(encoding="utf-8"))
    validator_class = jsonschema.validators.validator_for(schema)
    validator_class.check_schema(schema)
    validator = validator_class(schema)
    for nonsense in ({}, [], {"scenario": 7}, {"scenario": "x", "steps": [{"no_such_step": 1}]}):
        if validator.is_valid(nonsense):
            sys.exit(f"the schema accepts nonsense: {nonsense}")

    files, wrong = 0, 0
    for path in sorted(pathlib.Path(root).rglob("*.yaml")):
        # Lists of steps for other files.
        if "fragments" in path.parts:
            continue
        files += 1
        for error in validator.iter_errors(load(path)):
            wrong += 1
            place = "/".join(str(part) for part in error.absolute_path) or "(top)"
            print(f"{path}: {place}: {error.message}")
    if files == 0:
        sys.exit(f"no scenarios under {root}")
    print(f"{files} scenarios checked, {wrong} mistakes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
