"""`rwsr studio`: a page on this machine to turn, look and decide; NiceGUI, which brings all of its page with it.

`server.py` the server · `page.py` the page and its tabs · `tabs/` a tab each, beside it what it does without a page ·
`compare.py` two images on top of each other · `served.py` pictures by their addresses · `work.py` long work
"""
