"""The layout: which part of the package may know which, read from the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kquant"

# Each part may import what stands before it, and its own files; parts that stand side
# by side do not know each other.
FLOORS = [
    ["errors", "_arithmetic", "_kernel", "_typing"],
    ["checks", "_simd"],
    ["parallel"],
    ["color"],
    ["fit", "files"],
    ["mapping", "compare"],
    ["indexed", "settings"],
    ["_palette"],
    ["pipeline"],
    ["convert", "bench"],
    ["cli"],
    ["__main__"],
]
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}

# Names that types need from above: nothing of these is imported when the package runs.
FOR_TYPES_ALONE = {
    ("errors", "indexed"),  # QualityError has the best image
    ("compare.regions", "indexed"),  # a region is one of a result
    ("indexed", "_palette"),  # a result has a palette
}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py"  # the facade, which imports on demand
}


class Imports(ast.NodeVisitor):
    """What a module imports from the package, as (module, when)."""

    def __init__(self, name):
        self.package = ["kquant", *name.split(".")[:-1]]
        self.when, self.found = "at once", []
        self.visit(ast.parse(MODULES[name].read_text("utf-8")))

    def visit_FunctionDef(self, node):
        before, self.when = self.when, "lazily"
        self.generic_visit(node)
        self.when = before

    def visit_If(self, node):
        before = self.when
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            self.when = "for types"
        self.generic_visit(node)
        self.when = before

    def visit_Import(self, node):
        for name in node.names:
            assert not name.name.startswith("kquant"), "relative imports, please"

    def visit_ImportFrom(self, node):
        if not node.level:
            assert not (node.module or "").startswith("kquant"), "relative, please"
            return
        base = self.package[: len(self.package) - node.level + 1]
        base += (node.module or "").split(".") if node.module else []
        base = base[1:]
        for alias in node.names:
            inner = ".".join([*base, alias.name])
            target = inner if inner in MODULES or inner == "_kernel" else ".".join(base)
            if target:  # else a name of the facade, as __version__
                self.found.append((target, self.when))


IMPORTS = {name: Imports(name).found for name in MODULES}


def part(module):
    return module.split(".")[0]


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_down(name):
    for target, when in IMPORTS[name]:
        if part(target) == part(name):
            continue
        if when == "for types" and FLOOR[part(target)] >= FLOOR[part(name)]:
            assert (name, part(target)) in FOR_TYPES_ALONE, (target, when)
            continue
        assert FLOOR[part(target)] < FLOOR[part(name)], (target, when)


def test_no_exception_is_out_of_use():
    used = {(n, part(t)) for n, found in IMPORTS.items() for t, when in found}
    assert used >= FOR_TYPES_ALONE


def test_no_module_imports_itself_by_way_of_others():
    at_once = {
        name: [t for t, when in found if when != "for types" and t in MODULES]
        for name, found in IMPORTS.items()
    }
    done = set()

    def walk(name, way):
        assert name not in way, " -> ".join([*way, name])
        if name not in done:
            for target in at_once[name]:
                walk(target, [*way, name])
            done.add(name)

    for name in at_once:
        walk(name, [])


@pytest.mark.parametrize("drawer", ["fit", "mapping"])
def test_the_engine_does_not_know_files(drawer):
    for name, found in IMPORTS.items():
        if part(name) == drawer:
            assert not [t for t, _ in found if part(t) == "files"], name


@pytest.mark.parametrize("name", MODULES)
def test_only_the_terminal_prints(name):
    calls = [
        node.func
        for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    printing = [f for f in calls if isinstance(f, ast.Name) and f.id == "print"]
    assert not printing or part(name) == "cli"


@pytest.mark.parametrize("drawer", sorted({part(n) for n in MODULES if "." in n}))
def test_a_drawer_says_in_a_sentence_what_it_is_for(drawer):
    tree = ast.parse((PACKAGE / drawer / "__init__.py").read_text("utf-8"))
    sentence = ast.get_docstring(tree)
    assert "\n" not in sentence
    assert " in, " in sentence
    assert " out" in sentence
    assert all(isinstance(n, ast.Expr | ast.ImportFrom | ast.Assign) for n in tree.body)


def test_every_file_is_in_the_wheel():
    listed = (ROOT / "meson.build").read_text("utf-8")
    ours = [p for s in ("py", "pyi", "bin") for p in PACKAGE.rglob(f"*.{s}")]
    for path in [*ours, PACKAGE / "py.typed"]:
        assert f"'{path.relative_to(ROOT).as_posix()}'" in listed
