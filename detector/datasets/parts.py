"""The parts of a data set that is split already: folders such as ``train`` and ``test``, or ``covid_train``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from detector import InputError, first_names
from detector.datasets.folders import MOST_NAMES, class_of, joined
from detector.images.listing import without_accents

# Names of the parts of a data set, such as ``train``, ``Test_Set`` or ``validation images``.
WORDS = "(?:data|dataset|set|split|images?|imgs?|xrays?|cxrs?|chest|radiographs?|s?daten(?:satz)?|s?bilder)*"
# In English, French, Spanish, Portuguese, Italian, German, Polish, Turkish, Russian and Chinese; without accents.
PARTS = (
    "train(?:ing|val)?|test(?:ing|s|e|owy|owe)?|val(?:id|idation|idacion|idacao|idazione|idierung)?|dev|eval(?:uation)?"
    "|holdout|entrainement|essais?|entrenamiento|pruebas?|treino|treinamento|addestramento|trening(?:owy|owe)?|egitim|dogrulama"
    "|обучение|тест|валидация|训练集?|測試集?|测试集?|验证集?|驗證集?|訓練集?"
)
# "tested" is not the part "teste" with the letter d.
PART = re.compile(rf"(?!tested$)(?:x[ _-]?|\d{{1,2}}[ _.-]+)?{WORDS}(?:{PARTS}){WORDS}(?:[ _-]?(?:[a-d]|\d{{1,3}}))?")
TRAINING = re.compile("train|entren|trein|addestr|trening|egitim|обуч|训练|訓練")
# A part's name as a word of a folder's name, or at either end of it.
WORD = re.compile(rf"(?P<part>{PARTS})\d{{0,3}}")
ENDS = (
    re.compile(rf"(?P<part>{PARTS})\d{{0,3}}(?P<rest>\D..+|[^\W\da-z]+)"),
    re.compile(rf"(?P<rest>...+?|[^\W\da-z]+?)(?P<part>{PARTS})\d{{0,3}}"),
)


def require_one_part(folder: Path, paths: Sequence[Path]) -> None:
    """Reject a folder that holds the parts of a data set, such as ``train`` and ``test``, as if they were one.

    So are ``covid_train`` and ``covid_test`` the parts of a class; ``covid`` and ``covid_tested`` are two classes.

    Raises
    ------
    InputError
    """
    _require_whole_classes(folder, {name for path in paths for name in path.relative_to(folder).parts[:-1]})
    parts: dict[str, tuple[str, ...]] = {}
    others = 0
    for path in paths:
        folders = path.relative_to(folder).parts[:-1]
        position = next((i for i, name in enumerate(folders) if PART.fullmatch(joined(without_accents(name)))), None)
        if position is None:
            others += 1
        else:
            parts.setdefault(folders[position], folders[: position + 1])
    if len(parts) == 1 and others:
        ((name, where),) = parts.items()
        raise InputError(
            f"data set {folder} holds {folder.joinpath(*where)} beside other images: {name} is a part of a data set, "
            f"not a class; move it out of {folder}, and test on it with audit_covid19.py -d {folder} --external {name}"
        )
    if len(parts) < 2:
        return
    names = sorted(parts, key=lambda name: (not TRAINING.search(without_accents(name.lower())), name))
    listed = ", ".join(names)
    within = {len(part) for part in parts.values()}
    if within != {1} and any(class_of(part[:-1]) for part in parts.values()):
        raise InputError(
            f"data set {folder} holds {listed} inside of its class folders: they are parts of a data set, not classes; "
            f"move the images so that {folder}/{names[0]} holds a folder for each class"
        )
    first, other = (folder.joinpath(*parts[name]) for name in names[:2])
    raise InputError(
        f"data set {folder} holds {listed}, the parts of a data set that is split already; train with -d {first}, and "
        f"test on the other part with audit_covid19.py -d {first} --external {other}"
    )


def _require_whole_classes(folder: Path, names: Iterable[str]) -> None:
    """Reject folders whose names differ in a part's name only."""
    parts: dict[str, set[str]] = defaultdict(set)
    named: dict[str, set[str]] = defaultdict(set)
    for name in names:
        for rest, part in _without_part(name):
            parts[rest].add(part)
            named[rest].add(name)
    found = {name for rest, of in parts.items() if len(of) > 1 for name in named[rest]}
    if found:
        raise InputError(
            f"data set {folder} holds {first_names(sorted(found), MOST_NAMES)}, parts of classes, not classes; move "
            f"them into a folder for each part, such as {folder}/train and {folder}/test, and give one with -d"
        )


def _without_part(name: str) -> Iterator[tuple[str, str]]:
    """Yield what a folder's name may be without a part's name, and the part; nothing of a part's name alone."""
    plain = without_accents(re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", name)).lower()
    if PART.fullmatch(joined(plain)):
        return
    words = re.findall(r"[^\W_]+", plain)
    for i, word in enumerate(words):
        if len(words) > 1 and (match := WORD.fullmatch(word)):
            yield "".join(words[:i] + words[i + 1 :]), match["part"]
    for end in ENDS:
        if match := end.fullmatch("".join(words)):
            yield match["rest"], match["part"]
