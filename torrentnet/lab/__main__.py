"""``python -m torrentnet.lab`` is the command ``torrentnet``."""

from torrentnet.lab.cli import main

if __name__ == "__main__":
    main()
