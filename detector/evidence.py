"""What a run can see for free of whether its own number can be believed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from detector import kaggle, phantom
from detector.cache import key
from detector.evaluation import Evaluation
from detector.study import Study
from detector.traits import linear_area, trait_matrix

# A hash of 16 × 16 = 256 bits. On 200 real radiographs (72 COVID-19, 38 controls, 90 normals), the nearest two of
# different patients differ by 56 bits; an image and itself as JPEG of quality 60 by at most 8, at half the size and
# cropped by 3 pixels by at most 38. With the usual 64 bits, two patients differ by as few as 4.
HASH_SIDE, NEAR_BITS = 16, 40
TRAITS_AUC = 0.75
ADULT = 18.0  # years


@dataclass(frozen=True)
class Finding:
    """One line of the block "Can this number be believed?".

    Attributes
    ----------
    name : str
    found : str
        What was found.
    why : str
        Why it matters.
    run : str
        What to run or do about it.
    alarming : bool
        Whether it is a reason for doubt.
    figures : dict
        The numbers behind it.
    """

    name: str
    found: str
    why: str
    run: str
    alarming: bool
    figures: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{'!' if self.alarming else '-'} {self.found} {self.why} {self.run}".rstrip()


def width(result: Evaluation, patients: int) -> Finding:
    """Tell how much a result of so few images can say."""
    acc = result.acc
    wide = acc.high - acc.low
    perfect = result.auc.low == result.auc.high == 1.0
    no_error = " That the AUC's interval is a point means that no pair was ranked wrongly, not that none could be."
    return Finding(
        "size",
        f"{acc.n} held-out images of {patients} patients: accuracy {acc.value:.2f} means somewhere in "
        f"{acc.low:.2f}-{acc.high:.2f}.",
        "A difference smaller than this interval is chance." + (no_error if perfect else ""),
        "Run: --folds 5 --repeats 5, which judges every image." if wide > 0.1 else "",
        wide > 0.1,
        {"images": acc.n, "patients": patients, "interval_width": wide},
    )


def source(study: Study) -> Finding:
    """Tell whether the source of an image gives its class away."""
    sources: dict[str, set[str]] = defaultdict(set)
    for image in study.dataset.images:
        sources[image.label].add(image.source)
    listing = ", ".join(
        f"{name} from {' and '.join(sorted(s or 'an unknown source' for s in found))}"
        for name, found in sorted(sources.items())
    )
    told = [s for found in sources.values() for s in found]
    if "" in told:
        return Finding(
            "source",
            f"Not every image's source is known ({listing}).",
            "If classes come from different collections, the collection alone can score 100 %.",
            "Build the data set with this suite's builders, which write it down.",
            True,
            {"sources": {name: sorted(found) for name, found in sources.items()}},
        )
    shared = len(set(told)) < len(told)
    return Finding(
        "source",
        f"Class and source coincide: {listing}." if not shared else f"Classes share a source: {listing}.",
        "The source alone scores 100 %, whatever the disease." if not shared else "",
        "Run: audit_covid19.py with --controls, images of the same source without COVID-19." if not shared else "",
        not shared,
        {"sources": {name: sorted(found) for name, found in sources.items()}},
    )


def traits(study: Study, positive: int, seed: int) -> Finding:
    """Tell whether trivial traits of the files separate the classes."""
    truth = study.dataset.labels == positive
    area = linear_area(trait_matrix(study.traits), truth, study.patients, seed)
    if area is None:
        return Finding("traits", "Too few patients to see whether trivial traits separate the classes.", "", "", False)
    alarming = area.value >= TRAITS_AUC and area.low > 0.5
    return Finding(
        "traits",
        f"Size, shape, format, colour and brightness of the files alone reach AUC {area.value:.2f} "
        f"({area.low:.2f}-{area.high:.2f}).",
        "What separates files without a look at the chest, the network sees too." if alarming else "",
        "Run: audit_covid19.py." if alarming else "",
        alarming,
        {"auc": area},
    )


def perceptual_hashes(study: Study) -> np.ndarray:
    """Return the perceptual hash of each image.

    Reference: C. Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010); as the library
    ImageHash computes it.

    Returns
    -------
    ndarray of shape (n, 4), uint64
        256 bits each.
    """
    import imagehash
    from PIL import Image

    names = [
        key(kind="phash", image=trait.digest, side=HASH_SIDE, version=imagehash.__version__) for trait in study.traits
    ]
    held = study.backbone.cache.get(names)
    fresh: dict[bytes, bytes] = {}
    for name, image, trait in zip(names, study.dataset.images, study.traits, strict=True):
        if name not in held and name not in fresh:
            picture = Image.fromarray(study.scratch.pixels(image.path, trait.digest))
            fresh[name] = np.packbits(imagehash.phash(picture, hash_size=HASH_SIDE).hash).tobytes()
    study.backbone.cache.put(fresh)
    held |= fresh
    return np.array([np.frombuffer(held[name], np.uint64) for name in names])


def near_pairs(hashes: np.ndarray, left: np.ndarray, right: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of images, one of `left` and one of `right`, whose hashes differ by at most `NEAR_BITS`."""
    pairs = []
    for row in left:
        distance = np.bitwise_count(hashes[right] ^ hashes[row]).sum(axis=1, dtype=int)
        pairs += [(int(row), int(right[i])) for i in np.flatnonzero(distance <= NEAR_BITS)]
    return pairs


def duplicates(study: Study, train: np.ndarray, held_out: np.ndarray, groups: np.ndarray) -> Finding:
    """Tell whether held-out images are, exactly or nearly, among the training images.

    Images of one group are always on one side; in a cross-validation, where each image is on both in turn, any pair of
    different groups is across some split.
    """
    trained_on: dict[str, list[int]] = defaultdict(list)
    for row in train:
        trained_on[study.traits[row].digest].append(int(row))
    same = [(int(row), twin) for row in held_out for twin in trained_on[study.traits[row].digest]]
    # Phantoms are more alike than people are; the bound was measured on people.
    drawn = all(image.source == phantom.SOURCE for image in study.dataset.images)
    alike = [] if drawn else near_pairs(perceptual_hashes(study), held_out, train)
    exact, near = (
        {tuple(sorted(pair)) for pair in pairs if groups[pair[0]] != groups[pair[1]]} for pairs in (same, alike)
    )
    exact, near = sorted(exact), sorted(near - exact)
    files = [[study.dataset.images[i].file for i in pair] for pair in (exact + near)]
    if not files:
        return Finding("duplicates", "No held-out image has an exact or near duplicate in training.", "", "", False)
    shown = "; ".join(" = ".join(pair) for pair in files[:3]) + ("; …" if len(files) > 3 else "")
    return Finding(
        "duplicates",
        f"{len(exact)} exact and {len(near)} near duplicates across the split ({shown}).",
        "The answer to a held-out image was given in training.",
        "Remove one of each pair, or give both the same patient in manifest.csv.",
        True,
        {"exact": len(exact), "near": len(near), "files": files},
    )


def children(study: Study) -> Finding | None:
    """Tell whether children are compared with adults, where manifests know; None where they do not."""
    shares: dict[str, float] = {}
    for name in study.dataset.classes:
        ages = [
            _is_child(image.source, image.row.get("age", "")) for image in study.dataset.images if image.label == name
        ]
        known = [age for age in ages if age is not None]
        if known:
            shares[name] = sum(known) / len(known)
    if len(shares) < 2:
        return None
    apart = max(shares.values()) - min(shares.values()) > 0.5
    listing = ", ".join(f"{share:.0%} of {name}" for name, share in shares.items())
    return Finding(
        "children",
        f"Where age is known, children are {listing}.",
        "A child's chest looks unlike an adult's: age may be what is told apart." if apart else "",
        "Use adult normals of the positives' source." if apart else "",
        apart,
        {"share_of_children": shares},
    )


def _is_child(source_name: str, age: str) -> bool | None:
    if source_name == kaggle.SOURCE:
        return True  # patients of one to five years, Guangzhou Women and Children's Medical Center
    try:
        return float(age) < ADULT
    except ValueError:
        return None


def gather(
    study: Study,
    result: Evaluation,
    positive: int,
    train: np.ndarray,
    held_out: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> list[Finding]:
    """Return every finding about a run.

    Parameters
    ----------
    study : Study
    result : Evaluation
    positive : int
    train, held_out : ndarray of int
        All images both times in a cross-validation.
    groups : ndarray of shape (n,)
        What the split keeps whole.
    seed : int

    Returns
    -------
    list of Finding
    """
    found = [
        width(result, len(set(study.patients[held_out]))),
        source(study),
        traits(study, positive, seed),
        duplicates(study, train, held_out, groups),
        children(study),
    ]
    return [finding for finding in found if finding is not None]
