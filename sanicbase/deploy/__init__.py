"""Deployment files, rendered from a service's settings. Files that were edited by hand are never overwritten."""

from sanicbase.deploy.deployment import DeployError, Deployment, inspect_deployment
from sanicbase.deploy.rendering import Rendering, write

__all__ = ["DeployError", "Deployment", "Rendering", "inspect_deployment", "write"]
