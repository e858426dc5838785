"""Sphinx configuration: the docs are built against the installed package."""

import importlib.metadata

project = "kquant"
copyright = "the kquant developers"
release = importlib.metadata.version("kquant")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.doctest",
]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "k-means colour quantization",
    "page_width": "60em",
}
myst_enable_extensions = ["dollarmath"]
napoleon_google_docstring = False
autodoc_typehints = "none"  # the docstrings say more than the annotations
autodoc_member_order = "bysource"
