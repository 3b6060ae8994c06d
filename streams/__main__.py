"""`python -m streams` is the command `streams`."""

from streams.cli import main

if __name__ == "__main__":
    main()
