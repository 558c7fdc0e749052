"""Policies: for each task a distribution over networks, learned while these share their weights."""

from niwaki.search.policies.settings import PolicySettings
from niwaki.search.policies.task_policies import TaskPolicies

__all__ = ["PolicySettings", "TaskPolicies"]
