"""Previews: any version of a notebook as one static, safe HTML page.

Content is hostile. It is read, rendered and sanitised in processes of their own (`workers`, `__main__`), which hold no
secret and are killed when they take too long; what comes back is a page (`page`) under a policy that runs nothing and
loads nothing. `Previews` is what the service asks.
"""

from inset.preview.previews import Previews as Previews
from inset.preview.previews import preview_headers as preview_headers
