"""Compiled twins on their way into a worker: made by a child process, kept on disk, loaded in a thread.

To make them takes numba, which `building` and `instructions` import; to load them takes neither that nor LLVM where an
image could be made (`images`).
"""
