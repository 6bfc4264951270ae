"""What MkDocs asks while it builds: pages made from sources, links that leave the documentation, the navigation."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from docs_site import api, catalogue, decisions, links, sdk
from docs_site.navigation import complete

ROOT = Path(__file__).resolve().parents[2]
ASSETS = Path(__file__).with_name("assets")


def on_files(files: Files, *, config: Any) -> Files:
    """Add what is generated, and what the pages link to outside of docs/."""
    for asset in sorted(ASSETS.iterdir()):
        files.append(File.generated(config, f"assets/{asset.name}", content=asset.read_bytes()))
    made = {
        **api.pages(ROOT / "docs" / "openapi.json", known=catalogue.slugs(ROOT)),
        "reference/errors.md": catalogue.page(ROOT),
        "reference/sdk.md": sdk.page(ROOT),
        "decisions/index.md": decisions.page(ROOT / "docs" / "decisions"),
    }
    pages = {file.src_uri: Path(str(file.abs_src_path)).read_text() for file in files.documentation_pages()}
    made |= links.sources(pages, ROOT)
    for name, text in made.items():
        if name not in pages:
            files.append(File.generated(config, name, content=text))
    config["nav"] = complete(config["nav"], [file.src_uri for file in files.documentation_pages()])
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Turn links to the checkout's files, and documents that are named as code, into links within the site."""
    there = {file.src_uri for file in files.documentation_pages()}
    return links.within_the_site(markdown, page.file.src_uri, ROOT, there)
