"""HTML reports: the template, images as data, and how values are shown."""

from __future__ import annotations

import base64
import hashlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np

from detector import __version__, printable
from detector.cli.output import DISCLAIMER
from detector.files.cache import key
from detector.images.read import READER_VERSION
from detector.reports.text import ORANGE, rgb
from detector.training.dataset import FeatureExtractor

TEMPLATES = Path(__file__).with_name("templates")

MOST = 40  # images in an HTML report, the most interesting ones
SIDE = 160  # pixels of an image in a report; enlarged, it shows what the network saw well enough

QUALITY = 70  # of its JPEG


@dataclass(frozen=True)
class Card:
    """An image of a report: its file, picture and heat map (addresses) and shape, what is said, and what opens below.

    By `label`, the position of a class, and `answer`, "right" or "wrong", it can be filtered.
    """

    file: str
    picture: str
    aspect: float
    heat: str
    label: int
    said: Sequence[str]
    probability: float | None
    below: str
    details: Mapping[str, object]
    answer: str = ""

    @property
    def height(self) -> int:
        """Of the image where it is shown `SIDE` pixels wide; very high and very wide images are shown less so."""
        return round(SIDE * min(max(self.aspect, 0.5), 2.0))


def render(template: str, title: str, **values: object) -> bytes:
    """Return an HTML report, which says when, by which version and by which command it was made.

    What the template shows is escaped, whatever it holds.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        # Markup is what the templates' own macros made; everything else came from outside of them.
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=shown, trim_blocks=True
    )
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "filter.js"))
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    page = environment.get_template(template).render(
        title=title,
        notice=DISCLAIMER,
        created=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        version=__version__,
        command=command(),
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        **values,
    )
    return page.encode()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def uri(data: bytes, kind: str = "png") -> str:
    """Return an image file as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def small(pixels: np.ndarray) -> bytes:
    """Return an image of the network's, (224, 224, 3), uint8, as a JPEG file, smaller."""
    resized = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def image_uri(pixels: np.ndarray) -> str:
    """Return an image of the network's as an address that holds it, smaller."""
    return uri(small(pixels), "jpeg")


def heat_uri(heat: np.ndarray | None) -> str:
    """Return a heat map, (14, 14) in [0, 1], as an address that holds it: orange where it is warm, clear elsewhere."""
    if heat is None:
        return ""
    pixels = np.empty((*heat.shape, 4), np.uint8)
    pixels[..., :3] = rgb(ORANGE)[::-1]
    pixels[..., 3] = np.rint(255 * np.clip(heat, 0, 1))
    return uri(cv2.imencode(".png", pixels)[1].tobytes())


def shown_threshold(threshold: float | None, classes: Sequence[str]) -> float | None:
    """Return the probability from which the positive class is predicted, 0 being one.

    None where the most probable of more than two classes is predicted.
    """
    return 0.5 if threshold is None and len(classes) == 2 else threshold


def created() -> str:
    """Return the time, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def command() -> str:
    """Return the command line of this run, ready to be pasted: of the script, or of the command that pip installed."""
    name = Path(sys.argv[0]).name
    return shlex.join([*(["python"] if name.endswith(".py") else []), name, *sys.argv[1:]])


def image_uris(extractor: FeatureExtractor, rows: Sequence[int]) -> list[str]:
    """Return images as a run's network sees them, small, each as an address; a second run reads none of them again."""
    cache = extractor.backbone.cache
    look = {"side": SIDE, "quality": QUALITY, "version": READER_VERSION}
    names = [key(kind="thumbnail", image=extractor.properties[row].digest, **look) for row in rows]
    held = cache.get(names)
    new = {name: small(extractor.pixels(row)) for name, row in zip(names, rows, strict=True) if name not in held}
    if new:
        cache.put(new)
    return [uri((held | new)[name], "jpeg") for name in names]
