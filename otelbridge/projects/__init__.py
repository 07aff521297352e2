"""Projects: which programs there are, which of their processes run, and how each is."""

from otelbridge.projects.past import read_projects
from otelbridge.projects.process import Process, ProjectKey, Status
from otelbridge.projects.project import Project, Standing
from otelbridge.projects.roster import Roster

__all__ = ["Process", "Project", "ProjectKey", "Roster", "Standing", "Status", "read_projects"]
