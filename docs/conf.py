"""Sphinx: the pages of docs/, the knowledge base and the public names, as a site that asks nothing of the network.

Built by ``scripts/docs`` from a copy of this folder that holds the pages made from the package as well.
"""

from importlib import metadata

project = "hepacalc"
author = "the hepacalc maintainers"
project_copyright = "the hepacalc maintainers, Apache-2.0"
release = metadata.version("hepacalc")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_static"]
language = "en"
html_last_updated_fmt = None

myst_enable_extensions = ["attrs_block", "colon_fence"]
myst_heading_anchors = 4

# names keep their short form in signatures; the rooms give them
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"hepacalc {release}"
html_static_path = ["_static"]
html_css_files = ["tokens.css", "site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "var(--blue)",
        "color-brand-content": "var(--blue)",
        "color-brand-visited": "var(--blue)",
        "color-foreground-primary": "var(--ink)",
        "color-foreground-secondary": "var(--soft)",
        "color-foreground-muted": "var(--soft)",
        "color-background-secondary": "var(--pale)",
        "color-background-border": "var(--line)",
    },
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
