"""A primary and its replicas: which select goes where, and which replica can be read from."""
