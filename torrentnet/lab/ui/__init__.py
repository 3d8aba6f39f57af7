"""The live page: a lab in the browser, while it runs.

Imported only by the commands that serve it.
"""
