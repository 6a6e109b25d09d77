"""console: the window on a living cluster, and the place to break it on purpose.

Data flows one way. A *link* (the client, in trio, in guest mode on Textual's loop) hands over observations; a *buffer* keeps
them until the one paint timer of the application drains it; the *model* (pure, knows neither textual nor trio) folds them
into what is known; a *picture* of it, frozen, goes to the panes, each of which draws lines. Back only through the front
door: a key or the `:` line runs a command of the one registry, through the same client as the command line.

What holds everywhere:
- every state is a glyph, a word and a colour; a term is a colour and its digits; colours come from theme variables only;
- silence is `?`: a node is called dead only on evidence (the host's word, or a refused dial);
- nothing here blocks, sleeps or does I/O in the loop that answers keys;
- what cannot be shown is a state with a next step, never a traceback.

Rooms: `model/` the fold, `panes/` what the eye sees (one widget a file), `modals/` what is asked, `app.py` the application,
`trio_host.py` the one place where trio and asyncio meet.
"""
