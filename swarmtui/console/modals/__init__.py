"""modals: what is asked and explained on top of the screen. Esc always leaves, and nothing is done."""
