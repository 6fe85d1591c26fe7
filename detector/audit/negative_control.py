"""The negative control: permuted labels, which nothing may predict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detector.audit.comparison import Audit, Finding, cross_validated
from detector.statistics.metric import Metric

DEALS = 5  # of permuted labels, at least


def permuted_labels(audit: Audit) -> Finding:
    """Permute the labels among patients, in every repeat anew: nothing may be found.

    The interval is the mean of those of the single permutations, since the luck of one is what it stands for.
    """
    samples = audit.samples
    people, inverse = np.unique(samples.groups, return_inverse=True)
    images = np.bincount(inverse)
    shares = np.bincount(inverse, samples.labels) / images
    uneven = len(set(images)) > 1
    found = []
    for repeat in range(max(audit.settings.repeats, DEALS)):
        # Of a patient with images of both classes either is taken, by its share.
        own = np.random.default_rng([audit.settings.seed, repeat, 1]).random(len(people)) < shares
        dealt = np.random.default_rng([audit.settings.seed, repeat]).permutation(own.astype(samples.labels.dtype))
        permuted = replace(samples, labels=dealt[inverse])
        one = cross_validated(audit, permuted, audit.plan(permuted, 1, repeat))
        if not one.available:
            return Finding(one)
        found.append(one)
    value, low, high = (float(np.mean([getattr(one, name) for one in found])) for name in ("value", "low", "high"))
    area = Metric(value, low, high, found[0].n_positive, found[0].n_negative, n_patients=found[0].n_patients)
    return Finding(area, ("labels were permuted among patients, whose numbers of images differ",) if uneven else ())
