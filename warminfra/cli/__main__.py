"""`python -m warminfra.cli`: the command without its script, as `up` starts the service."""

from warminfra.cli.main import main

if __name__ == "__main__":
    main()
