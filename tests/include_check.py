"""Checks the include contract: a folder of src includes only itself and what its CMakeLists.txt lists.

The DEPENDS list of `tenon_library` is the contract, and it is not transitive: what a folder includes stands in
its own list. What serves (see SERVING) includes nothing that compiles (see COMPILING), whatever the lists say.

    python3 tests/include_check.py [ROOT]    exit code 1 when an include breaks the contract
"""

import pathlib
import re
import sys

SERVING = ["serving", "pipelines", "text", "session", "bundle", "engine", "backend", "kernels"]
COMPILING = {"graph", "passes", "planner", "onnx", "models", "checkpoint"}

LIBRARY = re.compile(r"tenon_library\s*\(\s*(\w+)([^)]*)\)")
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)


def depends_of(cmake):
    """The folder names after DEPENDS in the tenon_library call, or None when there is no call."""
    text = re.sub(r"#[^\n]*", "", cmake)
    call = LIBRARY.search(text)
    if not call:
        return None
    depends, reading = set(), False
    for word in call.group(2).split():
        if word in ("DEPENDS", "PACKAGES"):
            reading = word == "DEPENDS"
        elif reading:
            depends.add(word)
    return depends


def includes_of(source, folders):
    """(line, folder) for each include that begins with the name of a folder of src."""
    for match in INCLUDE.finditer(source):
        folder, slash, _ = match.group(1).partition("/")
        if slash and folder in folders:
            yield source.count("\n", 0, match.start(1)) + 1, folder


def cycle_in(depends):
    """A folder that depends on itself by way of others, as a list of names, or None."""
    done = set()

    def visit(folder, path):
        if folder in path:
            return path[path.index(folder):] + [folder]
        if folder in done:
            return None
        for other in sorted(depends.get(folder, ())):
            found = visit(other, path + [folder])
            if found:
                return found
        done.add(folder)
        return None

    for folder in sorted(depends):
        found = visit(folder, [])
        if found:
            return found
    return None


def check_folder(root, name, allowed, folders):
    faults = []
    for path in sorted((root / "src" / name).rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        for line, folder in includes_of(path.read_text(), folders):
            where = f"{path.relative_to(root)}:{line}: includes {folder}"
            if name in SERVING and folder in COMPILING:
                faults.append(f"{where}, but {name} serves and must not know what compiles")
            elif folder != name and folder not in allowed:
                faults.append(f"{where}, which is not in the DEPENDS of src/{name}/CMakeLists.txt")
    return faults


def check(root):
    """Every fault of the tree as one line of text."""
    faults, depends = [], {}
    folders = {path.name for path in (root / "src").iterdir() if path.is_dir()}
    for name in sorted(folders):
        cmake = root / "src" / name / "CMakeLists.txt"
        listed = depends_of(cmake.read_text()) if cmake.exists() else None
        if listed is None:
            faults.append(f"src/{name}: has no CMakeLists.txt with a tenon_library call")
            continue
        depends[name] = listed
        for other in sorted(listed - folders):
            faults.append(f"src/{name}/CMakeLists.txt: depends on {other}, which is no folder of src")
        if name in SERVING:
            for other in sorted(listed & COMPILING):
                faults.append(f"src/{name}/CMakeLists.txt: {name} serves and must not depend on {other}")
        faults += check_folder(root, name, listed, folders)
    cycle = cycle_in(depends)
    if cycle:
        faults.append(f"the folders depend on each other in a circle: {' -> '.join(cycle)}")
    return faults


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    faults = check(root)
    print("\n".join(faults) if faults else "every include is within the contract")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
