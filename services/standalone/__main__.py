"""`python -m services.standalone` is the `headway` command."""

from services.standalone.cli import main

if __name__ == "__main__":
    main()
