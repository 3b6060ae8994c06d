"""Compiled twins on their way into a worker: made by a child process, kept on disk, loaded in a thread."""
