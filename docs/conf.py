"""The documentation build, `make docs`: pages are MyST Markdown, lessons are scripts it runs."""

project = "refquant"
copyright = "2026, the refquant authors"
version = release = "0.1.0"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.doctest",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
# `lessons` holds the scripts; `_build_lessons` the pages made from them.
exclude_patterns = ["_build", "lessons", "**/README.md"]
autodoc_typehints = "signature"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wide.css"]

sphinx_gallery_conf = {
    "examples_dirs": "lessons",
    "gallery_dirs": "_build_lessons",
    "filename_pattern": r".*\.py",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "backreferences_dir": "_build_api",
    "doc_module": ("refquant",),
    "reference_url": {"refquant": None},
    "remove_config_comments": True,
    "min_reported_time": 1,
}
