"""What shapes an ECG beside anatomy: a patient's condition, and how strongly age, sex, pressure and disease show.

Normal intervals, their spread and their changes with age and sex follow what Mason et al. 2007 and Rijnbeek et al. 2014
tabulate, heart-rate variability and its loss with age the Task Force 1996 and Umetani et al. 1998; amplitudes, axes and
noise were then set against PTB-XL by `studies/simulator/compare_with_ptb_xl.py`. None of the numbers is a fit. Effects
of disease have the direction that textbooks describe and sizes set by eye: they make a test bed, not a measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Condition:
    """A patient's state at the time of one record.

    Grades run from 0 (none) over about 0.05 (the healthy) and 0.5 (where the diagnosis begins) to 1 (marked).

    Args:
        age_years: Age in years, 16 to 110.
        female: Whether a woman.
        sbp_mmhg: Systolic blood pressure in mmHg, 60 to 260.
        hypertrophy: Grade of left ventricular hypertrophy.
        dysfunction: Grade of left ventricular systolic dysfunction; 0.5 is an ejection fraction of 40 %.
        atrial: Grade of atrial remodelling; 0.5 is where atrial fibrillation begins.
        af: In atrial fibrillation in this record.
        preexcitation: An accessory pathway conducts.

    Raises:
        ValueError: A value out of its range.

    Example:
        >>> Condition(age_years=60, female=True, sbp_mmhg=140, hypertrophy=0.6).af
        False
    """

    age_years: float
    female: bool
    sbp_mmhg: float
    hypertrophy: float = 0.0
    dysfunction: float = 0.0
    atrial: float = 0.0
    af: bool = False
    preexcitation: bool = False

    def __post_init__(self) -> None:
        ranges = {
            "age_years": (16, 110),
            "sbp_mmhg": (60, 260),
            "hypertrophy": (0, 1),
            "dysfunction": (0, 1),
            "atrial": (0, 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; accepted are {low} to {high}; pass another {name}.")


@dataclass(frozen=True)
class Physiology:
    """Effect sizes and the spread between people: every number that shapes an ECG beside `waves.WAVES`.

    Spreads are standard deviations (`_sd`); a name that ends in `_log_sd` is the spread of a logarithm. Effects of
    a grade are those of grade 1; effects of age are those of ten years, about an age of 50; effects of SBP are those
    of 20 mmHg, about 125 mmHg.

    Example:
        >>> Physiology(strain=0.0).qt_s
        0.388
    """

    # size and direction
    size_log_sd: float = 0.20
    size_female: float = -0.12
    size_per_decade: float = -0.03
    wave_log_sd: float = 0.18  # of each wave apart
    wave_direction_sd_deg: float = 9.0
    axis_deg: float = -6.0  # of the ordinary beat's turned
    axis_sd_deg: float = 19.0
    axis_per_decade_deg: float = -7.0  # negative: to the left
    transition_sd_deg: float = 15.0  # rotation in the horizontal plane
    t_axis_deg: float = -6.0
    t_axis_sd_deg: float = 9.0
    t_follows_qrs: float = 0.30
    thorax_sd: float = 0.06  # of the lead vectors between people
    # what no dipole explains: each lead's own part of each wave, and of the QRS's notches
    local_sd: float = 0.060
    local_notch_sd: float = 0.045
    # intervals
    p_s: float = 0.114
    p_sd_s: float = 0.013
    p_per_decade_s: float = 0.0012
    pr_s: float = 0.168
    pr_sd_s: float = 0.019
    pr_per_decade_s: float = 0.0035
    qrs_s: float = 0.086
    qrs_sd_s: float = 0.008
    qrs_female_s: float = -0.007
    qt_s: float = 0.388  # at 60 beats a minute
    qt_sd_s: float = 0.019
    qt_female_s: float = 0.012
    qt_per_decade_s: float = 0.0025
    qt_rate_exponent: float = 0.42
    # repolarisation
    t_log_sd: float = 0.18
    t_female: float = -0.25
    t_per_decade: float = -0.075
    t_width_log_sd: float = 0.10
    early_repolarisation_mv: float = 0.10
    j_sd_mv: float = 0.03
    breath_turn_deg: float = 6.0  # how far breathing turns the heart
    # conduction variants
    rbbb_threshold_sd: float = 2.05  # in standard deviations at the age of 50
    rbbb_per_decade_sd: float = -0.15
    lbbb_threshold_sd: float = 2.6
    # rate and its variability
    rate_bpm: float = 67.0
    rate_sd_bpm: float = 9.0
    rate_visit_sd_bpm: float = 4.0
    rate_female_bpm: float = 3.0
    rate_af_bpm: float = 19.0
    respiratory_hrv: float = 0.020  # standard deviations relative to the mean RR, at the age of 50
    pressure_hrv: float = 0.017
    slow_hrv: float = 0.017
    hrv_log_sd: float = 0.40
    hrv_per_decade: float = -0.24
    slow_hrv_per_decade: float = -0.12
    ectopic_share: float = 0.0008  # of beats, median, at the age of 50, atrial and ventricular each
    ectopic_log_sd: float = 1.7
    ectopic_per_decade: float = 0.35
    # pressure load, per 20 mmHg
    load_voltage: float = 0.05
    load_t: float = -0.07
    load_t_turn_deg: float = -4.0
    load_left_atrium: float = 0.06
    # hypertrophy
    hypertrophy_log_sd: float = 0.60  # how much of it a person's ECG shows
    hypertrophy_voltage: float = 0.55
    hypertrophy_qrs_s: float = 0.012
    hypertrophy_axis_deg: float = -14.0
    hypertrophy_left_atrium: float = 0.6
    hypertrophy_qt_s: float = 0.012
    strain: float = 0.55
    strain_st_mv: float = 0.09
    # systolic dysfunction
    dysfunction_log_sd: float = 0.60
    dysfunction_qrs_s: float = 0.018
    dysfunction_t: float = -0.75
    dysfunction_t_turn_deg: float = 55.0
    dysfunction_st_mv: float = 0.05
    dysfunction_lbbb_sd: float = 2.1
    dysfunction_progression: float = 0.6  # loss of the forces to the front
    dysfunction_infarct_sd: float = 1.9
    infarct_threshold_sd: float = 2.5
    dysfunction_rate_bpm: float = 13.0
    dysfunction_hrv: float = -1.1
    dysfunction_qt_s: float = 0.028
    dysfunction_ectopics: float = 2.6
    # atrial remodelling
    atrial_log_sd: float = 0.35
    atrial_p_s: float = 0.030
    atrial_p_size: float = -0.45
    atrial_pr_s: float = 0.022
    atrial_ectopics: float = 2.8
    fibrillation_mv: float = 0.075
    fibrillation_log_sd: float = 0.40
    fibrillation_per_decade: float = -0.10
    # pre-excitation
    delta_mv: float = 0.42
    delta_log_sd: float = 0.30
    delta_s: float = 0.042  # how long before the ordinary QRS
    preexcited_pr_s: float = 0.098

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise ValueError(f"{field.name} is {value}; accepted are finite numbers; pass one.")
