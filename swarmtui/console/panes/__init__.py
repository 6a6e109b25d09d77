"""panes: what the eye sees, one widget a file, each named for it.

A pane draws lines: a pure function from the view, a width and a height to spans of text with the name of an ink. What an
ink looks like is said once, in console.tcss, by theme variables. Only lines that changed are painted again.
"""
