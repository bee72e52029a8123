"""Starts a program of the package downdraft, whose modules come along as text: nothing is installed into an image.

Put before a call of `start` by bundle.ts. What the package imports of itself comes from these texts alone, whatever
else in the image is called so; a traceback shows their lines.
"""

import sys

# "python -c" puts the working directory first, where a folder named airflow would hide the real one.
sys.path[:] = [entry for entry in sys.path if entry]

import importlib  # noqa: E402
import importlib.abc  # noqa: E402
import importlib.machinery  # noqa: E402
import linecache  # noqa: E402


class Texts(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads modules in a dict: text by path, downdraft/text.py, downdraft/steps/rows.json."""

    def __init__(self, texts):
        self.texts = texts

    def find_spec(self, fullname, path=None, target=None):
        place = fullname.replace(".", "/")
        for file in (place + "/__init__.py", place + ".py"):
            if file in self.texts:
                package = file.endswith("/__init__.py")
                spec = importlib.machinery.ModuleSpec(fullname, self, origin=file, is_package=package)
                spec.has_location = True
                return spec
        return None

    def get_source(self, fullname):
        return self.texts[self.find_spec(fullname).origin]

    def is_package(self, fullname):
        return self.find_spec(fullname).submodule_search_locations is not None

    def get_code(self, fullname):
        source, name = self.get_source(fullname), f"<{fullname}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        return compile(source, name, "exec", dont_inherit=True)

    def get_data(self, path):
        """What pkgutil.get_data asks for."""
        return self.texts[path].encode()


def start(texts, program, *given):
    """Runs the function `main` of a module."""
    sys.meta_path.insert(0, Texts(texts))
    importlib.import_module(program).main(*given)
