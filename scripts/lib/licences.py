"""Copies the licences of all that is built in into a folder: licences.py FOLDER [TARGET]

One folder a crate, and a list of names, versions and licences. A crate without a
licence file has its name for the licence in the list alone.
"""

import json
import pathlib
import shutil
import subprocess
import sys


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 2:
        host = sys.argv[2]
    else:
        lines = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.splitlines()
        host = next(line.split()[1] for line in lines if line.startswith("host:"))
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    # What tests and builds alone need is not handed on.
    wanted, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        name = waiting.pop()
        for dependency in nodes[name]["deps"]:
            built_in = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if built_in and dependency["pkg"] not in wanted:
                wanted.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    lines = []
    for package in sorted((packages[name] for name in wanted), key=lambda p: (p["name"], p["version"])):
        name = f"{package['name']}-{package['version']}"
        lines.append(f"{name}: {package['license'] or 'see its files'}")
        source = pathlib.Path(package["manifest_path"]).parent
        words = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT", "PATENTS")
        files = [file for file in sorted(source.iterdir()) if file.name.upper().startswith(words) and file.is_file()]
        for file in files:
            (folder / name).mkdir(exist_ok=True)
            shutil.copy(file, folder / name / file.name)
    (folder / "uPlot-1.6.32").mkdir(exist_ok=True)
    shutil.copy("src/output/page/uplot/LICENSE", folder / "uPlot-1.6.32" / "LICENSE")
    lines.append("uPlot-1.6.32: MIT (in the pages of --report)")
    (folder / "LIST").write_text("\n".join(lines) + "\n", encoding="utf-8")


main()
