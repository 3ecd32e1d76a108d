"""The waves of a beat as Gaussians along directions in space, and what conduction makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

# Lead vectors (x left, y feet, z back), after Dower.
LEAD_VECTORS = {
    "I": (0.632, -0.235, 0.059),
    "II": (0.235, 1.066, -0.132),
    "V1": (-0.515, 0.157, -0.917),
    "V2": (0.044, 0.164, -1.387),
    "V3": (0.882, 0.098, -1.277),
    "V4": (1.213, 0.127, -0.601),
    "V5": (1.125, 0.127, -0.086),
    "V6": (0.831, 0.076, 0.230),
}

NORMAL, ATRIAL_ECTOPIC, VENTRICULAR_ECTOPIC = 0, 1, 2  # kinds of beat, the first axis of a heart's waves

# Waves of an ordinary beat: centre, width to the left and right (standard deviations), vector in mV. P: in lengths
# of the P wave after its onset. QRS: in lengths of the QRS after its onset. J and ST: in s after the end of the QRS.
# T: in s before the end of the QT interval. Notches are no part of the dipole: each lead has its own.
WAVES = {
    "P right": (0.34, 0.150, 0.155, (0.080, 0.068, -0.052)),
    "P left": (0.62, 0.160, 0.175, (0.120, 0.044, 0.012)),
    "septal": (0.17, 0.068, 0.070, (-0.120, -0.010, -0.250)),
    "apical": (0.33, 0.070, 0.070, (0.600, 0.520, -0.320)),
    "left": (0.46, 0.070, 0.070, (1.080, 0.700, 0.380)),
    "posterior": (0.60, 0.070, 0.074, (0.330, 0.090, 0.600)),
    "basal": (0.75, 0.072, 0.095, (-0.250, -0.160, 0.270)),
    "late": (0.84, 0.085, 0.095, (0.0, 0.0, 0.0)),
    "notch early": (0.30, 0.030, 0.030, (0.0, 0.0, 0.0)),
    "notch": (0.52, 0.030, 0.030, (0.0, 0.0, 0.0)),
    "notch late": (0.72, 0.032, 0.036, (0.0, 0.0, 0.0)),
    "delta": (0.020, 0.014, 0.020, (0.0, 0.0, 0.0)),
    "J": (0.004, 0.007, 0.010, (0.0, 0.0, 0.0)),
    "ST": (0.055, 0.038, 0.060, (0.015, 0.015, -0.050)),
    "T early": (-0.155, 0.052, 0.050, (0.135, 0.075, -0.125)),
    "T late": (-0.082, 0.050, 0.038, (0.385, 0.200, -0.310)),
}
NAMES = tuple(WAVES)
GROUPS = {
    "P": ["P right", "P left"],
    "QRS": ["septal", "apical", "left", "posterior", "basal", "late"],
    "notches": ["notch early", "notch", "notch late"],
    "ST": ["ST"],
    "T": ["T early", "T late"],
}
_INDEX = {name: np.array([NAMES.index(name)]) for name in NAMES}
INDEX = _INDEX | {group: np.array([NAMES.index(name) for name in names]) for group, names in GROUPS.items()}
REPOLARISATION = np.array([NAMES.index(name) for name in ("J", "ST", "T early", "T late")])
DEPOLARISATION = np.array([i for i in range(len(NAMES)) if i not in REPOLARISATION])
_T_PEAK = NAMES.index("T late")

# The same waves of the QRS in left bundle branch block: the septum from the right, then slowly around to the left.
_LEFT_BLOCK = {
    "septal": (0.15, 0.080, 0.085, (0.20, 0.06, 0.04)),
    "apical": (0.31, 0.085, 0.090, (0.62, 0.26, 0.42)),
    "left": (0.49, 0.100, 0.095, (0.42, 0.16, 0.66)),
    "posterior": (0.67, 0.090, 0.090, (0.78, 0.10, 0.62)),
    "basal": (0.83, 0.080, 0.080, (0.22, -0.02, 0.16)),
    "late": (0.84, 0.085, 0.095, (0.0, 0.0, 0.0)),
}
_LATE_RIGHT = np.array([-0.36, -0.04, -0.46])  # mV: the right ventricle, late in right bundle branch block
# Where accessory pathways insert: share, direction of the delta wave.
_PATHWAYS = (
    (0.45, (-0.20, 0.45, -0.85)),  # left lateral
    (0.75, (0.65, -0.60, -0.45)),  # posteroseptal
    (0.90, (0.90, 0.05, 0.25)),  # right free wall
    (1.01, (0.60, 0.75, 0.10)),  # anteroseptal
)


@dataclass
class Shape:
    """The waves of one kind of beat, in the order of `NAMES`, while a heart is drawn.

    Args:
        centre_s: Centre of each wave after the onset of the QRS, (wave,) in s.
        width_s: Standard deviation to the left and right, (2, wave) in s.
        vector_mv: Vector, (wave, 3) in mV.
        qrs_s: Length of the QRS in s.

    Example:
        >>> beat = ordinary_beat(p_s=0.1, pr_s=0.16, qrs_s=0.09, qt_s=0.4)
        >>> round(float(beat.centre_s[NAMES.index("T late")]), 3)
        0.318
    """

    centre_s: Array
    width_s: Array
    vector_mv: Array
    qrs_s: float

    def copy(self) -> Shape:
        """A copy that shares nothing."""
        return Shape(self.centre_s.copy(), self.width_s.copy(), self.vector_mv.copy(), self.qrs_s)

    def scale(self, wave: str, factor: ArrayLike) -> None:
        """Multiply a wave's vector, or those of a group of waves, by a factor or one for each direction."""
        self.vector_mv[INDEX[wave]] *= np.asarray(factor)

    def add(self, wave: str, vector_mv: ArrayLike) -> None:
        """Add a vector in mV to a wave; to a group of waves in proportion to their sizes in an ordinary beat."""
        which = INDEX[wave]
        sizes = np.array([np.linalg.norm(WAVES[NAMES[i]][3]) for i in which])
        shares = sizes / sizes.sum() if len(which) > 1 else np.ones(1)
        self.vector_mv[which] += shares[:, None] * np.asarray(vector_mv)

    def turn(self, wave: str, matrix: Array) -> None:
        """Turn a wave's vector, or those of a group of waves."""
        self.vector_mv[INDEX[wave]] = self.vector_mv[INDEX[wave]] @ matrix.T

    def widen(self, wave: str, factor: float) -> None:
        """Make a wave or a group of waves wider about its centre."""
        self.width_s[:, INDEX[wave]] *= factor

    def vary(self, log_sd: float, direction_sd_deg: float, chance: Array) -> None:
        """Let each wave differ in size and direction from person to person; `chance` is (>= wave, 4)."""
        chance = chance[: len(NAMES)]
        length = np.linalg.norm(self.vector_mv, axis=1, keepdims=True)
        self.vector_mv *= np.exp(log_sd * chance[:, :1])
        self.vector_mv += np.deg2rad(direction_sd_deg) * length * chance[:, 1:]

    def split_p(self, degree: float) -> None:
        """Draw the two atria's waves apart and make them narrower: a notched P."""
        length = self.centre_s[INDEX["P left"]] - self.centre_s[INDEX["P right"]]
        self.centre_s[INDEX["P right"]] -= 0.14 * degree * length
        self.centre_s[INDEX["P left"]] += 0.14 * degree * length
        self.widen("P", 1 - 0.16 * degree)

    def skew_t(self, degree: float) -> None:
        """Make the T wave asymmetric: a slow way down, a fast way back."""
        self.width_s[0, _T_PEAK] *= 1 + 0.35 * degree
        self.width_s[1, _T_PEAK] *= 1 - 0.18 * degree
        self.centre_s[_T_PEAK] += 0.010 * degree

    def preexcite(self, where: float, degree: float, delta_mv: float, delta_s: float) -> None:
        """Let an accessory pathway begin the QRS: a delta wave, then the ordinary waves, T against the delta.

        Args:
            where: Standard normal number that says where the pathway inserts.
            degree: How much of the ventricles it activates; 1 is ordinary.
            delta_mv: Size of the delta wave in mV.
            delta_s: How long before the ordinary QRS it begins, in s.
        """
        from math import erf, sqrt

        share = 0.5 * (1 + erf(where / sqrt(2)))
        direction = np.array(next(vector for limit, vector in _PATHWAYS if share < limit))
        delta = delta_mv * degree * direction
        ahead = delta_s * min(degree, 1.3)
        later = np.concatenate([INDEX["QRS"], INDEX["notches"], REPOLARISATION])
        self.centre_s[later] += ahead
        self.centre_s[INDEX["T"]] -= 0.4 * ahead
        self.scale("septal", 0.1)
        for wave in ("apical", "left", "posterior", "basal"):
            self.scale(wave, 1 - 0.15 * min(degree, 1.5))
        self.centre_s[INDEX["delta"]] = ahead + 0.012  # into the R wave: a slur, no hump of its own
        self.width_s[0, INDEX["delta"]] = 0.44 * ahead
        self.width_s[1, INDEX["delta"]] = 0.034
        self.add("delta", delta)
        self.add("posterior", 0.5 * delta)
        self.add("basal", 0.45 * delta)
        self.widen("basal", 1.25)
        self.add("ST", -0.15 * delta)
        self.add("T", -0.75 * delta)
        self.qrs_s += ahead


def ordinary_beat(*, p_s: float, pr_s: float, qrs_s: float, qt_s: float) -> Shape:
    """An ordinary beat with given intervals.

    Args:
        p_s: Length of the P wave in s.
        pr_s: PR interval in s.
        qrs_s: Length of the QRS in s.
        qt_s: QT interval at 60 beats a minute in s.

    Returns:
        Its waves.

    Example:
        >>> ordinary_beat(p_s=0.1, pr_s=0.16, qrs_s=0.09, qt_s=0.4).vector_mv.shape == (len(NAMES), 3)
        True
    """
    rows = list(WAVES.values())
    centre = np.array([row[0] for row in rows])
    width = np.array([[row[side] for row in rows] for side in (1, 2)])
    vector = np.array([row[3] for row in rows])
    centre[INDEX["P"]] = centre[INDEX["P"]] * p_s - pr_s
    width[:, INDEX["P"]] *= p_s
    ventricles = np.concatenate([INDEX["QRS"], INDEX["notches"]])
    centre[ventricles] *= qrs_s
    width[:, ventricles] *= qrs_s
    centre[[NAMES.index("J"), NAMES.index("ST")]] += qrs_s
    centre[INDEX["T"]] += qt_s
    return Shape(centre, width, vector, qrs_s)


def bundle_branch_block(shape: Shape, *, left: float, right: float) -> None:
    """Block the left or the right bundle branch, by degrees from 0 to 1.

    Args:
        shape: The beat, changed in place; its QRS already has its full length.
        left: Degree of left bundle branch block.
        right: Degree of right bundle branch block.

    Example:
        >>> beat = ordinary_beat(p_s=0.1, pr_s=0.16, qrs_s=0.13, qt_s=0.4)
        >>> bundle_branch_block(beat, left=0.0, right=1.0)
        >>> bool(beat.vector_mv[NAMES.index("late"), 0] < 0)  # to the right
        True
    """
    if left > 0:
        before = np.linalg.norm(shape.vector_mv[INDEX["left"]])
        size = np.clip(before / np.linalg.norm(WAVES["left"][3]), 0.6, 1.6)
        for wave, (centre, rise, fall, vector) in _LEFT_BLOCK.items():
            i = INDEX[wave]
            shape.centre_s[i] += left * (centre * shape.qrs_s - shape.centre_s[i])
            shape.width_s[0, i] += left * (rise * shape.qrs_s - shape.width_s[0, i])
            shape.width_s[1, i] += left * (fall * shape.qrs_s - shape.width_s[1, i])
            shape.vector_mv[i] *= 1 - 0.85 * left
            shape.vector_mv[i] += left * size * np.array(vector)
        shape.scale("T", 1 - 0.75 * left)
        shape.add("T", left * size * np.array([-0.26, -0.03, -0.42]))
        shape.add("ST", left * size * np.array([-0.07, -0.02, -0.12]))
    if right > 0:
        earlier = [i for i in INDEX["QRS"] if NAMES[i] != "late"]
        shape.centre_s[earlier] *= 1 - 0.24 * right
        shape.width_s[:, earlier] *= 1 - 0.24 * right
        shape.add("late", right * _LATE_RIGHT)
        shape.add("T", -0.45 * right * _LATE_RIGHT)


def ectopic_atrial(shape: Shape, focus: float) -> Shape:
    """A beat from an atrial focus: an odd P, the QRS as ever.

    Args:
        shape: The sinus beat.
        focus: Standard normal number that says how far the focus is from the sinus node.

    Returns:
        The ectopic beat.

    Example:
        >>> sinus = ordinary_beat(p_s=0.1, pr_s=0.16, qrs_s=0.09, qt_s=0.4)
        >>> odd = ectopic_atrial(sinus, 1.0)
        >>> bool((odd.vector_mv[INDEX["QRS"]] == sinus.vector_mv[INDEX["QRS"]]).all())
        True
    """
    beat = shape.copy()
    beat.turn("P", rotation(-70.0 - 40.0 * focus, 25.0 * focus, 0.0))
    beat.centre_s[INDEX["P"]] += 0.012 * (1 if focus > 0 else -1)
    return beat


def ectopic_ventricular(shape: Shape, focus: Array, size: float) -> Shape:
    """A beat from a ventricular focus: no P, a wide QRS away from the focus, T against it.

    Args:
        shape: The sinus beat.
        focus: Three standard normal numbers that say where the focus is.
        size: The person's size of waves.

    Returns:
        The ectopic beat.

    Example:
        >>> sinus = ordinary_beat(p_s=0.1, pr_s=0.16, qrs_s=0.09, qt_s=0.4)
        >>> ectopic_ventricular(sinus, np.zeros(3), 1.0).qrs_s > sinus.qrs_s
        True
    """
    beat = shape.copy()
    away = np.array([0.25, 0.55, 0.15]) + 0.6 * focus
    away /= max(0.4, float(np.linalg.norm(away)))
    side = np.cross(away, (0.3, -0.4, 0.85))
    qrs_s = 0.155
    parts = {
        "septal": (0.20, 0.10, 0.28 * away + 0.10 * side),
        "apical": (0.37, 0.11, 0.95 * away + 0.35 * side),
        "left": (0.53, 0.10, 0.75 * away + 0.20 * side),
        "posterior": (0.70, 0.10, 0.45 * away - 0.35 * side),
        "basal": (0.85, 0.09, 0.05 * away - 0.20 * side),
        "late": (0.85, 0.09, np.zeros(3)),
        "delta": (0.20, 0.10, np.zeros(3)),
        "J": (1.0, 0.06, np.zeros(3)),
        "ST": (1.35, 0.28, -0.14 * away),
    }
    for wave, (centre, width, vector) in parts.items():
        beat.centre_s[INDEX[wave]] = centre * qrs_s
        beat.width_s[:, INDEX[wave]] = width * qrs_s
        beat.vector_mv[INDEX[wave]] = 1.15 * size * vector
    beat.centre_s[INDEX["notches"]] *= qrs_s / shape.qrs_s
    beat.scale("P", 0.0)
    beat.scale("T", 0.0)
    beat.add("T", -0.62 * size * away)
    beat.centre_s[INDEX["T"]] += 0.03
    beat.qrs_s = qrs_s
    return beat


def rotation(frontal_degrees: float, horizontal_degrees: float, sagittal_degrees: float) -> Array:
    """Rotation in the frontal, then the horizontal, then the sagittal plane.

    Args:
        frontal_degrees: From the left towards the feet: positive turns the axis to the right.
        horizontal_degrees: From the left towards the back: positive moves the transition to V5.
        sagittal_degrees: From the feet towards the back.

    Returns:
        Matrix (3, 3).

    Example:
        >>> rotation(90, 0, 0).round(6) @ (1, 0, 0)
        array([0., 1., 0.])
    """
    (a, b, c) = np.deg2rad([frontal_degrees, horizontal_degrees, sagittal_degrees])
    frontal = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    horizontal = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    sagittal = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    return sagittal @ horizontal @ frontal
