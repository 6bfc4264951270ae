"""Which HTML a preview may hold. Everything in a preview's body has been through here; the parser is ammonia's."""

import re
from urllib.parse import unquote

import nh3
from pygments.token import STANDARD_TYPES

_TEXT = {
    "a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn",
    "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins",
    "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "wbr",
}  # fmt: skip

_GONE_WITH_THEIR_CONTENT = {
    "applet", "audio", "canvas", "datalist", "embed", "frame", "frameset", "head", "iframe", "math", "noembed",
    "noframes", "noscript", "object", "plaintext", "script", "select", "style", "svg", "template", "textarea", "title",
    "video", "xmp",
}  # fmt: skip

_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "col": {"span"},
    "details": {"open"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
}

_SPAN = re.compile(r"[0-9]{1,3}")
_VALUES = {
    "href": re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f\\]+", re.IGNORECASE),
    "src": re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/]+={0,2}"),
    "width": re.compile(r"[0-9]{1,4}%?"),
    "height": re.compile(r"[0-9]{1,4}"),
    "span": _SPAN,
    "colspan": _SPAN,
    "rowspan": _SPAN,
    "start": re.compile(r"-?[0-9]{1,6}"),
    "align": re.compile(r"left|right|center"),
    "scope": re.compile(r"row|col|rowgroup|colgroup"),
}
"""What a value must be, whole, for its attribute to stay."""

_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_ANSI = {
    f"ansi-{colour}{intense}-{ground}" for colour in _COLOURS for intense in ("", "-intense") for ground in ("fg", "bg")
} | {"ansi-bold", "ansi-underline", "ansi-default-inverse-fg", "ansi-default-inverse-bg"}
_HIGHLIGHTING = {"span": {name for name in STANDARD_TYPES.values() if name} | _ANSI, "pre": {"nb-highlight"}}

_OURS = {
    "section": {"nb-cell", "nb-markdown", "nb-code", "nb-raw"},
    "div": {"nb-prompt", "nb-input", "nb-output", "nb-html", "nb-prose", "nb-image"},
    "pre": {"nb-highlight", "nb-text", "nb-stderr", "nb-error"},
    "p": {"nb-note"},
}


def clean_fragment(html: str, attachments: dict[str, str] | None = None) -> str:
    """Make HTML of a notebook safe: no class but highlighting's, so that it can't look like anything of ours.

    `attachments` are the data URLs to which `attachment:<name>` leads.
    """
    images = attachments or {}

    def keep(tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src" and value.startswith("attachment:"):
            value = images.get(value[11:]) or images.get(unquote(value[11:])) or ""
        return _kept(tag, name, value)

    return nh3.clean(
        html,
        tags=_TEXT,
        clean_content_tags=_GONE_WITH_THEIR_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        allowed_classes=_HIGHLIGHTING,
        url_schemes={"http", "https", "mailto", "data", "attachment"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )


_body = nh3.Cleaner(
    tags=_TEXT | {"main", "section"},
    clean_content_tags=_GONE_WITH_THEIR_CONTENT,
    attributes=_ATTRIBUTES,
    attribute_filter=lambda tag, name, value: _kept(tag, name, value),
    allowed_classes={**_HIGHLIGHTING, **_OURS},
    set_tag_attribute_values={"a": {"target": "_blank"}},
    url_schemes={"http", "https", "mailto", "data"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)


def clean_body(html: str) -> str:
    """Make a whole preview's body safe, whatever put it together."""
    return _body.clean(html)


def shows_anything(cleaned: str) -> bool:
    """Tell whether of sanitised HTML there is anything to see: a word, or an image."""
    return "<img src=" in cleaned or bool(re.sub(r"<[^>]*>", "", cleaned).strip())


def _kept(tag: str, name: str, value: str) -> str | None:
    wanted = _VALUES.get(name)
    return value if wanted is None or wanted.fullmatch(value) else None
