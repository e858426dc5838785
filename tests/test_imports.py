"""What an import brings with it, and what it must not need."""

import re
import subprocess
import sys
from pathlib import Path

import kquant


def test_import_is_lazy_and_complete():
    code = (
        "import sys, kquant; print('numpy' in sys.modules)\n"
        "print(kquant.Palette.__name__, hasattr(kquant, 'bench'))\n"
        "print(kquant.__version__)\n"
        "print(sorted(set(kquant.__all__) - set(dir(kquant))))\n"
        "try: kquant.nonsense\nexcept AttributeError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [
        "False",
        "Palette False",
        kquant.__version__,
        "[]",
        "module 'kquant' has no attribute 'nonsense'",
    ]


def test_only_the_modules_of_images_and_their_files_know_pillow():
    folder = Path(kquant.__file__).parent
    knowing = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search("^(from|import) PIL", path.read_text("utf-8"), re.MULTILINE)
    }
    assert all(name.startswith("files/") for name in knowing - {"_typing.py"})
