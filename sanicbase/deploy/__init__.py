"""Files that put a service onto machines, rendered from its settings; they are never written over a change."""

from sanicbase.deploy.site import DeployError, Site, survey
from sanicbase.deploy.writing import Rendering, write

__all__ = ["DeployError", "Rendering", "Site", "survey", "write"]
