#!/usr/bin/env python3
"""Plants faults in a copy of this tree, one at a time, and asks rehearsals to find them.

    tests/mutants/run.py [--check] [--write FILE] [NAME ...]

Every `NAME.patch` beside this file is one fault: a sentence, an empty line, a patch. With the fault in it the binary is
built, and rehearses SCENES in turn until a law is broken; printed is which law, and how many worlds it took. Without any
fault no law may be broken in as many worlds. A rehearsal that breaks off has caught nothing. Exit code 1: a fault was not
caught, or something was found without one.

--check only says whether every patch still applies. --write FILE puts the table between the marks in FILE.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutants"
TREE = WORK / "tree"
MARKS = ("<!-- make mutants: begin -->\n", "<!-- make mutants: end -->\n")
# Runbook, fleet, faults, crashes.
SCENES = [
    ("patch-linux", "happy", "rough", "random"),
    ("patch-windows", "windows", "rough", "random"),
    ("mixed-fleet", "mixed", "rough", "random"),
    ("patch-debian", "debian", "rough", "random"),
    ("patch-linux", "happy", "rough", "none"),
    ("patch-linux", "happy", "tests/mutants/lost-answers.yaml", "random"),
]
AT_A_TIME = 20
ROUNDS = 6
# Rehearsals that gave no answer.
SILENT = []


def run(*command, **more):
    return subprocess.run(command, check=True, text=True, **more)


def copy():
    """The files of this tree that git knows, as they stand; unchanged ones keep their times, so that little is built."""
    listed = run("git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", capture_output=True)
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    for path in sorted(TREE.rglob("*"), reverse=True) if TREE.exists() else []:
        if path.is_file() and str(path.relative_to(TREE)) not in names:
            path.unlink()
    for name in names:
        source, copied = ROOT / name, TREE / name
        if not copied.exists() or source.read_bytes() != copied.read_bytes():
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copied)


def patched(patch, *more, tree=TREE):
    # The copy may stand inside of another repository: git must not look for one.
    away = {**os.environ, "GIT_DIR": os.devnull, "GIT_CEILING_DIRECTORIES": str(WORK)}
    return subprocess.run(["git", "apply", *more, str(patch)], cwd=tree, env=away, capture_output=True, text=True)


def build():
    built = WORK / "target"
    run("cargo", "build", "--quiet", "--no-default-features", "--bin", "runbook", cwd=TREE,
        env={**os.environ, "CARGO_TARGET_DIR": str(built), "CARGO_INCREMENTAL": "0"})
    return built / "debug" / "runbook"


def rehearsed(binary, scene, first):
    runbook, fleet, faults, crash = scene
    ran = subprocess.run(
        [str(binary), "rehearse", f"runbooks/{runbook}.yaml", "--fleet", f"runbooks/fleets/{fleet}.yaml", "--faults", faults,
         "--crash", crash, "--seed", str(first), "--seeds", str(AT_A_TIME), "--json"],
        cwd=TREE, capture_output=True, text=True)
    if not ran.stdout.strip():
        # The rehearsal itself broke off: that is no law that caught anything.
        SILENT.append(f"{' '.join(scene)}, from seed {first}: {ran.stderr[-300:]}")
        print("no answer:", SILENT[-1], file=sys.stderr, flush=True)
        return []
    return json.loads(ran.stdout)["violations"]


def caught(binary):
    """The first law that is broken, after how many worlds; none after the last."""
    worlds = 0
    for at in range(ROUNDS):
        for scene in SCENES:
            first = 1 + at * AT_A_TIME
            broken = rehearsed(binary, scene, first)
            if broken:
                earliest = min(broken, key=lambda found: found["seed"])
                laws = sorted({found["law"] for found in broken if found["seed"] == earliest["seed"]})
                return worlds + earliest["seed"] - first + 1, earliest | {"laws": laws}, scene
            worlds += AT_A_TIME
    return worlds, None, None


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    target = arguments[arguments.index("--write") + 1] if "--write" in arguments else None
    names = [name for name in arguments if not name.startswith("--") and name != target]
    patches = [HERE / f"{name}.patch" for name in names] or sorted(HERE.glob("*.patch"))
    if check:
        said = {patch.name: patched(patch, "--check", tree=ROOT) for patch in patches}
        sys.exit("\n".join(f"{name}: {said.stderr}" for name, said in said.items() if said.returncode) or 0)
    copy()
    failed = False
    worlds, broken, _ = caught(build())
    print(f"no fault: {worlds} worlds, {'no law broken' if broken is None else broken}", flush=True)
    failed |= broken is not None or bool(SILENT)
    rows = [f"| (none) | no law was broken | {worlds:,} |"]
    for patch in patches:
        what = patch.read_text().split("\n\n", 1)[0].replace("\n", " ")
        applied = patched(patch)
        if applied.returncode:
            sys.exit(f"{patch.name} does not apply any more: {applied.stderr}")
        try:
            worlds, broken, scene = caught(build())
        finally:
            patched(patch, "--reverse")
        failed |= broken is None
        law = ", ".join(f"`{law}`" for law in broken["laws"]) if broken else "**not caught**"
        rows.append(f"| {what} | {law} | {worlds:,} |")
        print(f"{patch.stem}: {law} after {worlds} worlds", scene or "", broken["detail"] if broken else "", flush=True)
    table = "\n".join(["| fault | what was found broken first | worlds |", "| --- | --- | --- |", *rows]) + "\n"
    if target:
        page = pathlib.Path(target)
        before, rest = page.read_text().split(MARKS[0], 1)
        page.write_text(before + MARKS[0] + table + MARKS[1] + rest.split(MARKS[1], 1)[1])
    else:
        print(table)
    sys.exit(failed)


if __name__ == "__main__":
    main()
