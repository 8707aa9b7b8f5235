"""Prints whether VSScript knows this Python: `present` or `missing`.

Exits with 1 and a sentence when vapoursynth.toml cannot be read, because
`vapoursynth config` would then replace it and lose other environments' keys.
"""

import os
import pathlib
import sys
import tomllib

from vapoursynth import get_vsscript

home = os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config"
path = pathlib.Path(home) / "vapoursynth" / "vapoursynth.toml"
try:
    known = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
except (OSError, ValueError) as error:
    print(f"{path} cannot be read ({error}); repair or remove it and run this again")
    sys.exit(1)

# The key and the values as `vapoursynth config` of R81 writes them.
entry = known.get(get_vsscript().replace("/lib64/", "/lib/"))
ours = [sys.executable, str(int(os.stat(sys.executable).st_mtime))]
print("present" if entry and [str(entry[0]), str(entry[2])] == ours else "missing")
