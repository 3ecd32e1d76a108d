"""A simulated heart: what one person's beats look like and how they follow each other, in health and disease.

The heart is a vector in three dimensions (x to the patient's left, y to the feet, z to the back, in mV). Each
wave of a beat is a Gaussian in time along a direction of its own; `openclef.simulator.recording` projects their
sum on the leads. Anatomy (size, axis, rotation, conduction, thorax ...) is drawn once for a person; age, blood
pressure and disease then change it by degrees, so that grades overlap between people.

Sources: a moving dipole after Sameni et al. 2007 (EURASIP J Adv Signal Process) with Gaussian waves after McSharry
et al. 2003 (IEEE Trans Biomed Eng); lead vectors after Dower. Normal intervals, their spread and their changes
with age and sex follow what Mason et al. 2007 and Rijnbeek et al. 2014 tabulate, heart-rate variability and its
loss with age the Task Force 1996 and Umetani et al. 1998. These guided the defaults; none of the numbers is a fit.
Effects of disease (voltage, strain, conduction delay, delta wave ...) have the direction that textbooks describe and
sizes set by eye to ordinary ECGs: they make a test bed, not a measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.simulator.waves import (
    ATRIAL_ECTOPIC,
    LEAD_VECTORS,
    NORMAL,
    VENTRICULAR_ECTOPIC,
    Shape,
    bundle_branch_block,
    ectopic_atrial,
    ectopic_ventricular,
    ordinary_beat,
    rotation,
)

Array = NDArray[Any]


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
        0.4
    """

    # size and direction
    size_log_sd: float = 0.20
    size_female: float = -0.12
    size_per_decade: float = -0.03
    wave_log_sd: float = 0.20  # of each wave apart
    wave_direction_sd_deg: float = 9.0
    axis_sd_deg: float = 22.0
    axis_per_decade_deg: float = -7.0  # negative: to the left
    transition_sd_deg: float = 15.0  # rotation in the horizontal plane
    t_axis_sd_deg: float = 14.0
    t_follows_qrs: float = 0.35
    thorax_sd: float = 0.06  # of the lead vectors between people
    # intervals
    p_s: float = 0.104
    p_sd_s: float = 0.009
    p_per_decade_s: float = 0.0012
    pr_s: float = 0.156
    pr_sd_s: float = 0.019
    pr_per_decade_s: float = 0.0035
    qrs_s: float = 0.094
    qrs_sd_s: float = 0.008
    qrs_female_s: float = -0.007
    qt_s: float = 0.400  # at 60 beats a minute
    qt_sd_s: float = 0.016
    qt_female_s: float = 0.012
    qt_per_decade_s: float = 0.0025
    qt_rate_exponent: float = 0.42
    # repolarisation
    t_log_sd: float = 0.26
    t_female: float = -0.25
    t_per_decade: float = -0.075
    t_width_log_sd: float = 0.10
    early_repolarisation_mv: float = 0.10
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
    respiratory_hrv: float = 0.026  # standard deviations relative to the mean RR, at the age of 50
    pressure_hrv: float = 0.022
    slow_hrv: float = 0.022
    hrv_log_sd: float = 0.40
    hrv_per_decade: float = -0.24
    slow_hrv_per_decade: float = -0.12
    ectopic_share: float = 0.0012  # of beats, median, at the age of 50, atrial and ventricular each
    ectopic_log_sd: float = 1.7
    ectopic_per_decade: float = 0.35
    # pressure load, per 20 mmHg
    load_voltage: float = 0.05
    load_t: float = -0.07
    load_t_turn_deg: float = -4.0
    load_left_atrium: float = 0.06
    # hypertrophy
    hypertrophy_log_sd: float = 0.45  # how much of it a person's ECG shows
    hypertrophy_voltage: float = 0.70
    hypertrophy_qrs_s: float = 0.012
    hypertrophy_axis_deg: float = -14.0
    hypertrophy_left_atrium: float = 0.6
    hypertrophy_qt_s: float = 0.012
    strain: float = 0.85
    strain_st_mv: float = 0.12
    # systolic dysfunction
    dysfunction_log_sd: float = 0.45
    dysfunction_qrs_s: float = 0.018
    dysfunction_t: float = -0.85
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


@dataclass(frozen=True, eq=False)
class Heart:
    """One person's heart in one state: the shape of each kind of beat, the rhythm, and the thorax.

    Args:
        centre_s: Centre of each wave after the onset of the QRS at 60 beats a minute, (kind, wave) in s; kinds are
            those of `waves`: NORMAL, ATRIAL_ECTOPIC, VENTRICULAR_ECTOPIC; waves in the order of `waves.NAMES`.
        width_s: Standard deviation of each wave to its left and right, (kind, 2, wave) in s.
        vector_mv: Vector of each wave, (kind, wave, 3) in mV.
        lead_vectors: How the leads I, II, V1 to V6 see the dipole in this thorax, (8, 3).
        qrs_s: Length of the QRS of a normal beat in s.
        qt_rate_exponent: Repolarisation takes RR to this power.
        rate_bpm: Mean heart rate at rest, beats a minute.
        rate_visit_sd_bpm: Its standard deviation from record to record.
        respiratory_hrv: Variation of RR with breathing, standard deviation relative to its mean.
        pressure_hrv: The same of the slow wave of blood pressure (0.1 Hz).
        slow_hrv: The same of slower variation.
        breath_hz: Rate of breathing in Hz.
        atrial_ectopic_share: Probability of a beat to be an atrial ectopic beat.
        ventricular_ectopic_share: Probability of a beat to be a ventricular ectopic beat.
        af: Atrial fibrillation: no P wave, irregular beats, fibrillatory waves.
        fibrillation_mv: Size of the fibrillatory waves in mV.
        fibrillation_hz: Their rate in Hz.

    Example:
        >>> heart = draw_heart(np.random.default_rng(0), Condition(60, female=False, sbp_mmhg=130))
        >>> heart.centre_s.shape[0], heart.vector_mv.shape[2]
        (3, 3)
    """

    centre_s: Array
    width_s: Array
    vector_mv: Array
    lead_vectors: Array
    qrs_s: float
    qt_rate_exponent: float
    rate_bpm: float
    rate_visit_sd_bpm: float
    respiratory_hrv: float
    pressure_hrv: float
    slow_hrv: float
    breath_hz: float
    atrial_ectopic_share: float
    ventricular_ectopic_share: float
    af: bool
    fibrillation_mv: float
    fibrillation_hz: float


# What differs between people: one standard normal number each. A new one goes to the end.
_CHANCE = (
    *("size", "axis", "transition", "tilt", "p", "pr", "qrs", "qt", "t_size", "t_axis", "t_turn", "t_width"),
    *(
        "early_repolarisation",
        "rbbb",
        "lbbb",
        "rate",
        "hrv_respiratory",
        "hrv_pressure",
        "hrv_slow",
        "breath",
    ),
    *("atrial_ectopics", "ventricular_ectopics", "voltage", "strain", "dysfunction", "progression"),
    *("infarct", "infarct_site", "t_direction", "atrial", "fibrillation_mv", "fibrillation_hz"),
    *("pathway", "delta", "focus_x", "focus_y", "focus_z", "p_focus", "left_atrium", "st"),
)
_WAVES = 16  # room for the waves' own chance, so that a wave more changes nobody's anatomy


def draw_heart(
    generator: np.random.Generator, condition: Condition, physiology: Physiology | None = None
) -> Heart:
    """Draw one person's anatomy and give the heart in a condition.

    The number of draws is always the same, so the same seed with another condition is the same person later.

    Args:
        generator: Source of chance; the same generator gives the same anatomy.
        condition: Age, sex, pressure and disease at the time of the record.
        physiology: Effect sizes and spreads; None for the defaults.

    Returns:
        The heart.

    Example:
        >>> young, old = (
        ...     draw_heart(np.random.default_rng(0), Condition(age, female=True, sbp_mmhg=125)) for age in (25, 85)
        ... )
        >>> bool(old.respiratory_hrv < young.respiratory_hrv)
        True
    """
    p = physiology or Physiology()
    z = dict(zip(_CHANCE, generator.standard_normal(len(_CHANCE)).clip(-3, 3).tolist()))
    waves = generator.standard_normal((_WAVES, 4)).clip(-3, 3)
    thorax = generator.standard_normal((len(LEAD_VECTORS), 3)).clip(-3, 3)
    return _heart(condition, p, z, waves, thorax)


def _heart(condition: Condition, p: Physiology, z: dict[str, float], waves: Array, thorax: Array) -> Heart:
    """The heart of one anatomy in one condition."""
    decades = (condition.age_years - 50) / 10
    voltage = condition.hypertrophy * math.exp(p.hypertrophy_log_sd * z["voltage"])
    strain = p.strain * condition.hypertrophy * math.exp(p.hypertrophy_log_sd * z["strain"])
    weak = condition.dysfunction * math.exp(p.dysfunction_log_sd * z["dysfunction"])
    atrial = condition.atrial * math.exp(p.atrial_log_sd * z["atrial"])
    load = (condition.sbp_mmhg - 125) / 20

    qrs_s = p.qrs_s + p.qrs_sd_s * z["qrs"] + (p.qrs_female_s if condition.female else 0.0)
    qrs_s += p.hypertrophy_qrs_s * min(voltage, 2.0) + p.dysfunction_qrs_s * min(weak, 2.0)
    qt_s = (
        p.qt_s
        + p.qt_sd_s * z["qt"]
        + (p.qt_female_s if condition.female else 0.0)
        + p.qt_per_decade_s * decades
    )
    qt_s += p.hypertrophy_qt_s * min(voltage, 2.0) + p.dysfunction_qt_s * min(weak, 2.0)
    p_s = p.p_s + p.p_sd_s * z["p"] + p.p_per_decade_s * decades
    p_s += p.atrial_p_s * min(atrial, 1.8) + 0.3 * p.atrial_p_s * min(voltage, 2.0)
    pr_s = p.pr_s + p.pr_sd_s * z["pr"] + p.pr_per_decade_s * decades + p.atrial_pr_s * min(atrial, 2.0)

    left = _degree(z["lbbb"] + p.dysfunction_lbbb_sd * weak, p.lbbb_threshold_sd)
    right = _degree(z["rbbb"], p.rbbb_threshold_sd + p.rbbb_per_decade_sd * decades) * (1 - left)
    pre = math.exp(p.delta_log_sd * z["delta"]) if condition.preexcitation else 0.0
    if pre:
        pr_s = p.preexcited_pr_s + 0.010 * z["pr"] * 0.6
        left, right = 0.0, 0.0
    normal_qrs_s = qrs_s
    qrs_s += 0.050 * left + 0.036 * right
    pr_s = max(pr_s, p_s + 0.012 if not pre else 0.080)

    shape = ordinary_beat(p_s=p_s, pr_s=pr_s, qrs_s=qrs_s, qt_s=qt_s + 0.6 * (qrs_s - normal_qrs_s))
    shape.vary(p.wave_log_sd, p.wave_direction_sd_deg, waves)
    _atria(shape, p, z, condition, atrial, voltage, load)
    _repolarise(shape, p, z, condition, strain, weak, load)
    _depolarise(shape, p, z, condition, voltage, weak, load)
    turn = rotation(
        p.axis_sd_deg * z["axis"]
        + p.axis_per_decade_deg * decades
        + p.hypertrophy_axis_deg * min(voltage, 2.0),
        p.transition_sd_deg * z["transition"],
        8.0 * z["tilt"],
    )
    shape.turn("QRS", turn)
    small = rotation(0.6 * p.axis_sd_deg * z["axis"], 0.6 * p.transition_sd_deg * z["transition"], 0.0)
    shape.turn("P", small)
    bundle_branch_block(shape, left=left, right=right)
    if pre:
        shape.preexcite(z["pathway"], min(pre, 1.9), p.delta_mv, p.delta_s)
    size = math.exp(p.size_log_sd * z["size"] + p.size_per_decade * decades) * (
        1 + (p.size_female if condition.female else 0.0)
    )
    shape.vector_mv *= size

    kinds = {
        NORMAL: shape,
        ATRIAL_ECTOPIC: ectopic_atrial(shape, z["p_focus"]),
        VENTRICULAR_ECTOPIC: ectopic_ventricular(
            shape, np.array([z["focus_x"], z["focus_y"], z["focus_z"]]), size
        ),
    }
    if condition.af:
        for beat in kinds.values():
            beat.scale("P", 0.0)
    lead_vectors = np.array(list(LEAD_VECTORS.values()))
    lead_vectors = lead_vectors + p.thorax_sd * thorax * np.linalg.norm(lead_vectors, axis=1, keepdims=True)

    rate_bpm = p.rate_bpm + p.rate_sd_bpm * z["rate"] + (p.rate_female_bpm if condition.female else 0.0)
    rate_bpm += (
        p.dysfunction_rate_bpm * min(weak, 2.0)
        + (p.rate_af_bpm + 0.6 * p.rate_sd_bpm * z["pr"]) * condition.af
    )
    lost = p.hrv_per_decade * decades + p.dysfunction_hrv * min(weak, 2.0)
    slow_lost = p.slow_hrv_per_decade * decades + p.dysfunction_hrv * min(weak, 2.0)
    spread = [
        p.hrv_log_sd * (0.6 * z["hrv_respiratory"] + 0.8 * z[name]) for name in ("hrv_pressure", "hrv_slow")
    ]
    ectopics = p.ectopic_share * math.exp(p.ectopic_per_decade * decades)
    return Heart(
        centre_s=np.stack([beat.centre_s for beat in kinds.values()]),
        width_s=np.stack([beat.width_s for beat in kinds.values()]),
        vector_mv=np.stack([beat.vector_mv for beat in kinds.values()]),
        lead_vectors=lead_vectors,
        qrs_s=float(shape.qrs_s),
        qt_rate_exponent=p.qt_rate_exponent,
        rate_bpm=float(np.clip(rate_bpm, 42, 140)),
        rate_visit_sd_bpm=p.rate_visit_sd_bpm,
        respiratory_hrv=min(0.12, p.respiratory_hrv * math.exp(lost + p.hrv_log_sd * z["hrv_respiratory"])),
        pressure_hrv=min(0.10, p.pressure_hrv * math.exp(lost + spread[0])),
        slow_hrv=min(0.08, p.slow_hrv * math.exp(slow_lost + spread[1])),
        breath_hz=float(np.clip(0.24 + 0.035 * z["breath"] + 0.05 * min(weak, 1.0), 0.14, 0.40)),
        atrial_ectopic_share=min(
            0.25,
            ectopics
            * math.exp(p.ectopic_log_sd * z["atrial_ectopics"] + p.atrial_ectopics * min(atrial, 1.5)),
        ),
        ventricular_ectopic_share=min(
            0.25,
            ectopics
            * math.exp(
                p.ectopic_log_sd * z["ventricular_ectopics"] + p.dysfunction_ectopics * min(weak, 1.5)
            ),
        ),
        af=condition.af,
        fibrillation_mv=p.fibrillation_mv
        * math.exp(p.fibrillation_log_sd * z["fibrillation_mv"] + p.fibrillation_per_decade * decades),
        fibrillation_hz=float(np.clip(6.2 + 0.7 * z["fibrillation_hz"], 4.5, 8.5)),
    )


def _degree(liability: float, threshold: float) -> float:
    """Degree of a block, 0 to 1: none below the threshold, complete half a standard deviation above it."""
    return min(1.0, max(0.0, (liability - threshold) / 0.5))


def _atria(
    shape: Shape,
    p: Physiology,
    z: dict[str, float],
    condition: Condition,
    atrial: float,
    voltage: float,
    load: float,
) -> None:
    """The P wave: remodelling lowers and splits it, a loaded left ventricle enlarges its left part."""
    shape.scale("P", max(0.3, 1 + p.atrial_p_size * min(atrial, 1.5)))
    enlarged = (
        p.hypertrophy_left_atrium * min(voltage, 2.0) + p.load_left_atrium * load + 0.12 * z["left_atrium"]
    )
    shape.scale("P left", math.exp(0.5 * enlarged))
    shape.add("P left", (0.0, 0.0, 0.030 * max(-0.5, enlarged)))
    shape.split_p(0.5 * min(atrial, 1.6) + 0.25 * min(voltage, 1.5))


def _repolarise(
    shape: Shape,
    p: Physiology,
    z: dict[str, float],
    condition: Condition,
    strain: float,
    weak: float,
    load: float,
) -> None:
    """ST and T: smaller with age, in women and in disease; strain turns them against the lateral leads."""
    decades = (condition.age_years - 50) / 10
    t_size = math.exp(p.t_log_sd * z["t_size"] + p.t_per_decade * decades + p.load_t * load)
    shape.scale("T", t_size)
    shape.widen("T", math.exp(p.t_width_log_sd * z["t_width"]))
    if condition.female:
        shape.scale("T", np.array([1 + 0.3 * p.t_female, 1 + 0.3 * p.t_female, 1 + 1.4 * p.t_female]))
        shape.scale("ST", 1 + 2 * p.t_female)
    shape.scale("ST", math.exp(0.3 * z["st"] - 0.10 * decades))
    variant = (
        z["early_repolarisation"] - 1.3 - 0.35 * max(decades + 2, -1.5) - (1.2 if condition.female else 0.0)
    )
    early = p.early_repolarisation_mv * max(0.0, variant)
    shape.add("ST", early * np.array([0.55, 0.40, -0.35]))
    shape.add("J", early * np.array([0.80, 0.55, 0.0]))
    turn = rotation(
        p.t_axis_sd_deg * z["t_axis"] + p.load_t_turn_deg * load,
        p.t_axis_sd_deg * z["t_turn"],
        0.0,
    )
    shape.turn("T", turn)
    follow = p.t_follows_qrs
    shape.turn(
        "T",
        rotation(
            follow * (p.axis_sd_deg * z["axis"] + p.axis_per_decade_deg * decades),
            follow * p.transition_sd_deg * z["transition"],
            0.0,
        ),
    )
    strained = 1.4 * math.tanh(strain / 1.4)
    shape.scale("T", 1 - 0.85 * min(strained, 1.1))
    shape.add("T", strained * np.array([-0.24, -0.06, -0.20]))
    shape.add("ST", strained * p.strain_st_mv * np.array([-0.85, -0.40, -0.25]))
    shape.skew_t(strained)
    weakened = 1.4 * math.tanh(weak / 1.4)
    shape.scale("T", max(-0.2, 1 + p.dysfunction_t * weakened))
    shape.turn("T", rotation(0.5 * p.dysfunction_t_turn_deg * weakened * z["t_direction"], 0.0, 0.0))
    shape.add("T", 0.06 * weakened * np.array([-1.0 + 0.6 * z["t_direction"], -0.2, 0.6 * z["t_direction"]]))
    shape.add("ST", weakened * p.dysfunction_st_mv * np.array([-0.8, -0.5, 0.2 + 0.4 * z["t_direction"]]))


def _depolarise(
    shape: Shape,
    p: Physiology,
    z: dict[str, float],
    condition: Condition,
    voltage: float,
    weak: float,
    load: float,
) -> None:
    """The QRS: more force to the left and back in hypertrophy, less to the front in dysfunction, infarcts."""
    thick = 1 + p.hypertrophy_voltage * min(voltage, 2.2) + p.load_voltage * load
    shape.scale("left", max(0.6, thick))
    shape.scale("posterior", max(0.6, thick))
    progression = p.dysfunction_progression * weak * math.exp(0.4 * z["progression"])
    shape.scale("apical", np.array([1.0, 1.0, max(-0.3, 1 - progression)]))
    shape.scale("septal", max(0.1, 1 - 0.8 * progression))
    infarct = _degree(z["infarct"] + p.dysfunction_infarct_sd * weak, p.infarct_threshold_sd)
    inferior = 1.0 if z["infarct_site"] > 0.3 else 0.0
    front = np.array([-0.10, 0.05, 0.45])
    below = np.array([0.05, -0.45, 0.0])
    lost = infarct * (inferior * below + (1 - inferior) * front)
    shape.add("septal", 0.8 * lost)
    shape.add("apical", lost)
    shape.add("T", -0.35 * lost * np.array([1.0, 0.6, -0.6 if inferior else 0.7]))
