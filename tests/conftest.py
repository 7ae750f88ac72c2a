"""What all tests share: fresh databases on real servers."""

pytest_plugins = ["sanicbase.testing.plugin"]
