"""Configurations of the simulator: frozen parameters, named A and B, each with a hash.

Choose on A: methods, weights of a loss, anything. Test on B, once. They differ in hospitals, in what damages
the heart and how often, in how disease shows in the ECG, and in the recorders, so that what was chosen on A has
no way of fitting B by construction. A result names the configuration and its hash; a test holds the hashes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields

from openclef.simulator.physiology import Physiology
from openclef.simulator.recording import Equipment

__all__ = ["CONFIGURATIONS", "MODEL_VERSION", "Configuration", "Disease", "Hospital", "chosen_configuration"]

MODEL_VERSION = 3  # raised whenever the simulated values change by anything but a configuration


def _check_ranges(given: object, **ranges: tuple[float, float]) -> None:
    for name, (low, high) in ranges.items():
        value = getattr(given, name)
        if isinstance(value, (bool, str)) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; accepted are {low:g} to {high:g}; pass another {name}.")


@dataclass(frozen=True)
class Hospital:
    """Who comes to a hospital, and what records their ECGs.

    Args:
        name: Value of the column `hospital`.
        share: Share of the patients.
        age_mean_years: Mean age at the first visit; ages are cut to 18..95.
        age_sd_years: Standard deviation of it.
        male_share: Share of men.
        diabetes_logit: Added to NHANES's logit of diabetes.
        smoker_logit: Added to NHANES's logit of smoking.
        equipment: Its recorder.

    Example:
        >>> Hospital("village", share=0.1).male_share
        0.5
    """

    name: str
    share: float
    age_mean_years: float = 58.0
    age_sd_years: float = 16.0
    male_share: float = 0.5
    diabetes_logit: float = 0.0
    smoker_logit: float = 0.0
    equipment: Equipment = field(default_factory=Equipment)

    def __post_init__(self) -> None:
        _check_ranges(
            self,
            share=(1e-6, 1e6),
            age_mean_years=(18, 95),
            age_sd_years=(0, 50),
            male_share=(0, 1),
            diabetes_logit=(-10, 10),
            smoker_logit=(-10, 10),
        )


@dataclass(frozen=True)
class Disease:
    """How often a disease is and what damages the heart towards it: weights of the parts of a lifetime's damage.

    Args:
        prevalence: Share of first visits with the disease, 0..1.
        pressure: Weight of years under high blood pressure (per 10 mmHg over 112 and 40 years).
        lipids: Weight of years under non-HDL cholesterol (per mmol/L over 2.6 and 40 years).
        smoking: Weight of years of smoking, which saturate.
        sugar: Weight of diabetes, growing with the decades that it has lasted.
        obesity: Weight of BMI over 25, per 10 kg/m2.
        ageing: Weight of the square of the decades after 45.
        male: Weight of being a man.
        synergy: Weight of smoking times pressure.

    Example:
        >>> Disease(prevalence=0.1, pressure=1.0).lipids
        0.0
    """

    prevalence: float
    pressure: float = 0.0
    lipids: float = 0.0
    smoking: float = 0.0
    sugar: float = 0.0
    obesity: float = 0.0
    ageing: float = 0.0
    male: float = 0.0
    synergy: float = 0.0

    def __post_init__(self) -> None:
        weights = [each.name for each in fields(self) if each.name != "prevalence"]
        _check_ranges(self, prevalence=(0.001, 0.999), **dict.fromkeys(weights, (-100, 100)))
        if not any(getattr(self, name) for name in weights):
            raise ValueError(
                f"the weights {', '.join(weights)} are all 0; a disease needs at least one: without any damage nobody "
                "is more exposed than another. For disease that risk factors do not explain, pass rho=0."
            )


@dataclass(frozen=True)
class Configuration:
    """All parameters of a simulated cohort but its size, seed, rho and missing values.

    Args:
        name: "A", "B" or a name of your own.
        hospitals: Where the patients come from.
        hypertrophy: Left ventricular hypertrophy (sim/lvh).
        dysfunction: Left ventricular systolic dysfunction (sim/low_ef: LVEF under 40 %; sim/lvef).
        atrial: Atrial disease (sim/af: atrial fibrillation).
        shared_frailty: Share of the frailty's variance that the three diseases have in common, 0..1.
        preexcitation_share: Share of patients with an accessory pathway, whatever their risk.
        physiology: How age, sex and disease show in the ECG.

    Example:
        >>> CONFIGURATIONS["A"].name, len(CONFIGURATIONS["A"].sha256)
        ('A', 64)
    """

    name: str
    hospitals: tuple[Hospital, ...]
    hypertrophy: Disease
    dysfunction: Disease
    atrial: Disease
    shared_frailty: float = 0.4
    preexcitation_share: float = 0.05
    physiology: Physiology = field(default_factory=Physiology)

    def __post_init__(self) -> None:
        _check_ranges(self, shared_frailty=(0, 1), preexcitation_share=(0, 1))
        names = [hospital.name for hospital in self.hospitals]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"hospitals are {names}; accepted are one or more with names of their own; rename them."
            )

    @property
    def diseases(self) -> dict[str, Disease]:
        """The diseases by name.

        Example:
            >>> list(CONFIGURATIONS["B"].diseases)
            ['hypertrophy', 'dysfunction', 'atrial']
        """
        return {"hypertrophy": self.hypertrophy, "dysfunction": self.dysfunction, "atrial": self.atrial}

    @property
    def sha256(self) -> str:
        """SHA-256 of all parameters and the model's version.

        Example:
            >>> CONFIGURATIONS["A"].sha256 == CONFIGURATIONS["B"].sha256
            False
        """
        text = json.dumps({"model_version": MODEL_VERSION} | asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


CONFIGURATIONS = {
    "A": Configuration(
        "A",
        hospitals=(
            Hospital(
                "general",
                0.65,
                age_mean_years=56,
                age_sd_years=17,
                male_share=0.47,
                equipment=Equipment(high_pass_hz=0.05, low_pass_hz=150, step_uv=5),
            ),
            Hospital(
                "heart_centre",
                0.35,
                age_mean_years=66,
                age_sd_years=13,
                male_share=0.58,
                diabetes_logit=0.5,
                smoker_logit=0.2,
                equipment=Equipment(
                    high_pass_hz=0.15, low_pass_hz=150, step_uv=1, muscle_mv=0.0025, mains_mv=0.002
                ),
            ),
        ),
        hypertrophy=Disease(0.18, pressure=1.0, sugar=0.35, obesity=0.4, ageing=0.06, male=0.15, smoking=0.1),
        dysfunction=Disease(
            0.12, pressure=0.4, lipids=0.6, smoking=0.8, sugar=0.6, ageing=0.06, male=0.5, synergy=0.3
        ),
        atrial=Disease(0.10, pressure=0.4, ageing=0.25, sugar=0.2, obesity=0.4, male=0.4),
    ),
    "B": Configuration(
        "B",
        hospitals=(
            Hospital(
                "city",
                0.5,
                age_mean_years=52,
                age_sd_years=18,
                male_share=0.45,
                diabetes_logit=0.2,
                smoker_logit=0.3,
                equipment=Equipment(high_pass_hz=0.3, low_pass_hz=40, step_uv=2, wander_mv=0.04),
            ),
            Hospital(
                "valley",
                0.5,
                age_mean_years=69,
                age_sd_years=11,
                male_share=0.55,
                equipment=Equipment(
                    high_pass_hz=0.05, low_pass_hz=150, step_uv=4, mains_hz=60, muscle_mv=0.0045
                ),
            ),
        ),
        hypertrophy=Disease(0.22, pressure=0.8, sugar=0.6, obesity=0.7, ageing=0.03, synergy=0.2),
        dysfunction=Disease(
            0.09, pressure=0.7, lipids=0.3, smoking=0.5, sugar=0.9, ageing=0.1, male=0.3, synergy=0.6
        ),
        atrial=Disease(0.13, pressure=0.6, ageing=0.18, obesity=0.8, smoking=0.3, male=0.2),
        shared_frailty=0.25,
        physiology=Physiology(
            size_log_sd=0.25,
            wave_log_sd=0.22,
            axis_sd_deg=26.0,
            rate_bpm=70.0,
            hypertrophy_voltage=0.4,
            hypertrophy_qrs_s=0.015,
            strain=0.45,
            dysfunction_qrs_s=0.022,
            dysfunction_t=-0.6,
            dysfunction_t_turn_deg=45.0,
            dysfunction_rate_bpm=10.0,
            atrial_p_s=0.025,
            atrial_p_size=-0.35,
            fibrillation_mv=0.06,
        ),
    ),
}


def chosen_configuration(configuration: str | Configuration) -> Configuration:
    """Return the configuration of a name, or the configuration itself.

    Raises:
        ValueError: There is none of that name.

    Example:
        >>> chosen_configuration("A").shared_frailty
        0.4
    """
    if isinstance(configuration, Configuration):
        return configuration
    if not isinstance(configuration, str) or configuration not in CONFIGURATIONS:
        raise ValueError(
            f"configuration is {configuration!r}; accepted are {', '.join(CONFIGURATIONS)} and a Configuration "
            "of openclef.simulator; pass one of these."
        )
    return CONFIGURATIONS[configuration]
