"""Twins of hot loops, compiled by numba (extra `fast`): the same answers from bytes, without a Python object a record.

Nothing here is imported where numba is not installed; `streams/runtime/compiling.py` says when it is.
"""
