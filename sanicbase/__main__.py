"""`python -m sanicbase` is sanicGuider."""

from sanicbase.cli import main

if __name__ == "__main__":
    main(prog_name="sanicGuider")
