"""Prints the scenes of an av1an scenes.json: their frames and CRF."""

import json
import sys

path = sys.argv[1]
with open(path, encoding="utf-8") as file:
    content = json.load(file)

scenes = content.get("split_scenes", content["scenes"])
print(f"{path}: {len(scenes)} scenes, {content['frames']} frames")
print(f"{'first':>7} {'frames':>7} {'CRF':>6}")
for scene in scenes:
    parameters = (scene["zone_overrides"] or {}).get("video_params", [])
    crf = parameters[parameters.index("--crf") + 1] if "--crf" in parameters else "-"
    print(f"{scene['start_frame']:>7} {scene['end_frame'] - scene['start_frame']:>7} {crf:>6}")
