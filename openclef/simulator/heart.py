"""A simulated heart: what one person's beats look like and how they follow each other, in health and disease.

The heart is a vector in three dimensions (x to the patient's left, y to the feet, z to the back, in mV). Each
wave of a beat is a Gaussian in time along a direction of its own; `openclef.simulator.recording` projects their
sum on the leads. Anatomy (size, axis, rotation, conduction, thorax ...) is drawn once for a person; age, blood
pressure and disease then change it by degrees, so that grades overlap between people.

Sources: a moving dipole after Sameni et al. 2007 (EURASIP J Adv Signal Process) with Gaussian waves after McSharry
et al. 2003 (IEEE Trans Biomed Eng); lead vectors after Dower. `physiology` has the sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.simulator.physiology import Condition, Physiology
from openclef.simulator.waves import (
    ATRIAL_ECTOPIC,
    INDEX,
    LEAD_VECTORS,
    NAMES,
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


@dataclass(frozen=True, eq=False)
class Heart:
    """One person's heart in one state: the shape of each kind of beat, the rhythm, and the thorax.

    Args:
        centre_s: Centre of each wave after the onset of the QRS at 60 beats a minute, (kind, wave) in s; kinds are
            those of `waves`: NORMAL, ATRIAL_ECTOPIC, VENTRICULAR_ECTOPIC; waves in the order of `waves.NAMES`.
        width_s: Standard deviation of each wave to its left and right, (kind, 2, wave) in s.
        vector_mv: Vector of each wave, (kind, wave, 3) in mV.
        lead_vectors: How the leads I, II, V1 to V6 see the dipole in this thorax, (8, 3).
        local_mv: Their own part of each wave, which no dipole explains, (kind, 8, wave) in mV.
        breath_turn_deg: How far breathing turns the heart.
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
    local_mv: Array
    breath_turn_deg: float
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
    *("j_left", "j_down"),
)
_LOCAL_WAVES = 24  # room for the leads' own chance
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
    local = generator.standard_normal((len(LEAD_VECTORS), _LOCAL_WAVES)).clip(-3, 3)
    return _heart(condition, p, z, waves, thorax, local[:, : len(NAMES)])


def _heart(
    condition: Condition, p: Physiology, z: dict[str, float], waves: Array, thorax: Array, local: Array
) -> Heart:
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
    _atria(shape, p, z, atrial, voltage, load)
    _repolarise(shape, p, z, condition, strain, weak, load)
    _depolarise(shape, p, z, voltage, weak, load)
    turn = rotation(
        p.axis_deg
        + p.axis_sd_deg * z["axis"]
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
        local_mv=_local_parts(kinds.values(), lead_vectors, p, local),
        breath_turn_deg=p.breath_turn_deg,
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


def _local_parts(beats: Iterable[Shape], lead_vectors: Array, p: Physiology, local: Array) -> Array:
    """Each lead's own part of each wave, (kind, lead, wave) in mV: what lies near it and no dipole explains."""
    near = np.linalg.norm(lead_vectors, axis=1)[:, None]
    parts = []
    for beat in beats:
        size = p.local_sd * np.linalg.norm(beat.vector_mv, axis=1)
        size[INDEX["notches"]] = p.local_notch_sd * np.linalg.norm(beat.vector_mv[INDEX["QRS"]], axis=1).max()
        parts.append(local * near * size)
    return np.stack(parts)


def _degree(liability: float, threshold: float) -> float:
    """Degree of a block, 0 to 1: none below the threshold, complete half a standard deviation above it."""
    return min(1.0, max(0.0, (liability - threshold) / 0.5))


def _atria(
    shape: Shape,
    p: Physiology,
    z: dict[str, float],
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
    shape.add(
        "J", early * np.array([0.80, 0.55, 0.0]) + p.j_sd_mv * np.array([z["j_left"], z["j_down"], 0.0])
    )
    turn = rotation(
        p.t_axis_deg + p.t_axis_sd_deg * z["t_axis"] + p.load_t_turn_deg * load,
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
