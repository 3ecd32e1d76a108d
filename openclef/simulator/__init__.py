"""Simulated patients with risk factors, a disease of known truth, and 12-lead ECGs, written as a store.

Example:
    >>> from openclef.simulator import draw_patients
    >>> draw_patients(3, seed=0)["subject_id"].tolist()
    ['S000000', 'S000001', 'S000002']
"""

from __future__ import annotations

from openclef.simulator.cohort import simulate
from openclef.simulator.ecg import Heart, draw_heart, simulate_ecg
from openclef.simulator.patients import draw_patients

__all__ = ["Heart", "draw_heart", "draw_patients", "simulate", "simulate_ecg"]
