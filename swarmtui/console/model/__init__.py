"""model: what the console knows, as a pure fold of observations.

`Model.fold(observation, now)` takes one observation; `Model.picture(now)` gives the frozen picture that the panes draw.
`now` is always given (seconds since the epoch, of the console's clock), so the same observations at the same times give the
same picture. Nothing here knows textual, trio, a socket or a clock.
"""
