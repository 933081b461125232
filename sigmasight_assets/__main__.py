"""``python -m sigmasight_assets`` is the command ``sigmasight``."""

from sigmasight_assets.cli import main

main()
