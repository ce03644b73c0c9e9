"""The tabs of the studio: `X.py` draws one, and what it does without a page is beside it."""
