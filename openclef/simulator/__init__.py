"""Simulated patients with risk factors, disease of known truth and 12-lead ECGs, and simulated metadata for real ones.

Example:
    >>> from openclef.simulator import draw_patients
    >>> draw_patients(3, seed=0)["subject_id"].tolist()
    ['S000000', 'S000001', 'S000002']
"""

from __future__ import annotations

from openclef.simulator.cohort import simulate
from openclef.simulator.configuration import CONFIGURATIONS, Configuration, Disease, Hospital
from openclef.simulator.disease import expected_auroc
from openclef.simulator.heart import Heart, draw_heart
from openclef.simulator.mimic_iv_tree import simulate_mimic_iv
from openclef.simulator.missingness import GROUPS
from openclef.simulator.patients import draw_patients
from openclef.simulator.physiology import Condition, Physiology
from openclef.simulator.recording import Equipment, simulate_ecg
from openclef.simulator.semi_synthetic import simulate_metadata

__all__ = [
    "CONFIGURATIONS",
    "GROUPS",
    "Condition",
    "Configuration",
    "Disease",
    "Equipment",
    "Heart",
    "Hospital",
    "Physiology",
    "draw_heart",
    "draw_patients",
    "expected_auroc",
    "simulate",
    "simulate_ecg",
    "simulate_metadata",
    "simulate_mimic_iv",
]
