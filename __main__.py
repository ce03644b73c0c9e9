"""`python -m rwsr`: the command, where its script is not on the path."""

from rwsr.pipelines.cli.main import main

if __name__ == "__main__":
    main()
