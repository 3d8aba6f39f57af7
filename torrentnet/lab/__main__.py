"""``python -m torrentnet.lab`` is the command ``torrentnet``."""

from torrentnet.lab.cli.app import main

if __name__ == "__main__":
    main()
