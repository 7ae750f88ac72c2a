"""The background scripts: `python srv_xi_test.py`."""

from sanicbase import run_scripts
from xi_test.config import config
from xi_test.script import scripts

if __name__ == "__main__":
    run_scripts(config, scripts)
