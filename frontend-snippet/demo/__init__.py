"""Fieldnotes: a small web application of its own that embeds Inset's notebooks. Made to be copied from.

Who calls what:

- The *backend* owns what the host owns: logins, and a table of analyses, each of which names one Inset notebook.
  To create, rename, delete and bring back a notebook it calls Inset's API itself, with a JWT of its own that names
  the user (`act_for`), so that the table and the notebook change together.
- The *browser* opens the notebook with the SDK and reads its history straight from Inset, with a JWT for the user
  that lives five minutes and that the backend signs at `GET /token`.
- Logging out ends the user's notebook sessions: the next person at this computer finds no frame still open.

The signing key stays in the backend. Nothing here knows of Jupyter.
"""
