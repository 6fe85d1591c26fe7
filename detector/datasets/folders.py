"""Folders → classes, patients and views: which part of a path is what."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from detector import InputError, counted, first_names
from detector.collections import kermany, nih
from detector.files.tables import folded
from detector.files.values import view_group
from detector.images.listing import without_accents

FOLD = re.compile(r"(?:fold|split|part|batch)[ _-]?\d{1,2}", re.IGNORECASE)
# Folders within a class folder that are no classes: of files, of patients, of studies.
FILES = re.compile(
    "(?:images?|imgs?|pngs?|jpe?gs?|dicoms?|dcm|files?|data|pictures|scans|chest|xrays?|cxrs?|radiographs?|resized|anat)+"
    r"|c[rx]|d[xr]|xr|p1\d|\d{2,4}x\d{2,4}"
)
VIEWS = frozenset({"pa", "ap", "frontal", "lateral"})
FOLDER = "folder"  # stands before a patient's name that is a folder's
# Without accents, in the languages of `parts`.
PATIENT = re.compile(
    r"(?:patients?|pat|pt|pts|subject|subj?|cases?|casos?|cas|fall|pacientes?|pazient[ei]|patiente|sujet|sujeto|proband(?:e|in)?"
    r"|pacjent|hasta|olgu|случай|пациент|病人|患者|病例)[ _-]?[0-9]+|p(?:id)?[ _-]?[0-9]+|pa[0-9]{4,}|[0-9]{3,}"
)
STUDY = re.compile(
    r"(?:study|studie|estudi?o|etude|series?|session|ses|exam|visit|scan)[ _-]?\d+|\d{4}-\d\d-\d\d|s\d{6,}"
    r"|(?:st|se)\d{4,}|\d+(?:\.\d+){3,}|(?=[0-9a-f-]*\d)[0-9a-f-]{12,}",
    re.ASCII | re.IGNORECASE,
)
LATERAL = re.compile(r"(?:^|[ _-])(?:lateral|lat)(?:[ _.-]|$)", re.ASCII | re.IGNORECASE)
FRONTAL = re.compile(r"(?:^|[ _-])frontal(?:[ _.-]|$)", re.ASCII | re.IGNORECASE)
# What a browser or an operating system adds to the name of a second folder: "covid (1)", "covid - Copy".
COPY = re.compile(r"(?: \(\d+\)| -? ?(?:copy|kopie|copie|copia)(?: \(?\d+\)?)?)$", re.IGNORECASE)
MOST_NAMES = 10


def class_of(folders: Sequence[str]) -> str:
    """Return the class that the folders above an image name: the innermost that is none of files, patients, studies.

    Parameters
    ----------
    folders : sequence of str
        Below the data set, the outermost first.

    Returns
    -------
    str
        Empty where none is a class.
    """
    names = [name for name in reversed(folders) if not _is_no_class(name)]
    # Views lie in folders of the classes; a data set of views has nothing above them.
    return next((name for name in names if name.lower() not in VIEWS), names[0] if names else "")


def _is_no_class(name: str) -> bool:
    return is_patient(name) or any(pattern.fullmatch(text) for pattern, text in ((FILES, joined(name)), (STUDY, name)))


def is_patient(name: str) -> bool:
    """Return whether a folder is one of a patient by its name, such as ``patient12``, ``P1`` or ``caso 3``.

    So are ``p1`` and ``p2`` where nothing else is there: classes of such names are rejected.
    """
    return bool(PATIENT.fullmatch(without_accents(name.strip()).lower()))


def joined(name: str) -> str:
    """Return a name in small letters without what stands between words; ``test-`` and ``test+`` stay different."""
    return re.sub(r"(?<=[a-z])[ _.-](?=[a-z])", "", name.lower())


def patient_of(path: Path, folders: Sequence[str]) -> tuple[str, str]:
    """Return the patient, and the data set, that an image's path names; empty where it names none.

    Only whole names of Kermany's and NIH's data sets count, and folders such as ``patient12``.

    Returns
    -------
    patient, source : str
    """
    for collection in (kermany, nih):
        if found := collection.patient(path.name):
            return f"{collection.SOURCE}/{found}", collection.SOURCE
    # MIMIC-CXR keeps the patient p10000032 in a folder p10, with others.
    name = next(
        (name for i, name in enumerate(folders) if is_patient(name) and not _is_group(name, folders[i + 1 :])), ""
    )
    return (f"{FOLDER}/{name.lower()}", "") if name else ("", "")


def _is_group(name: str, inner: Sequence[str]) -> bool:
    return any(one != name and one.lower().startswith(name.lower()) and is_patient(one) for one in inner)


def view_of(path: Path) -> str:
    """Return the view that a path names, such as ``view1_frontal.jpg`` or ``PA/1.png``; empty where it names none."""
    if LATERAL.search(path.stem):
        return "lateral"
    if FRONTAL.search(path.stem):
        return "frontal"
    return next((view_group(name.lower()) for name in reversed(path.parts[:-1]) if name.lower() in VIEWS), "")


def require_classes(folder: Path, paths: Sequence[Path]) -> None:
    """Reject images that lie in no class folder, or in a class folder within another that holds images of its own.

    Raises
    ------
    InputError
    """
    loose = [path.relative_to(folder) for path in paths if not class_of(path.relative_to(folder).parts[:-1])]
    stray = [path.as_posix() for path in loose if len(path.parts) == 1]
    if stray:
        raise InputError(
            f"data set {folder} holds {first_names(stray)} outside of its class folders; move them into one"
        )
    if loose:
        names = sorted({path.parts[0] for path in loose})
        raise InputError(
            f"data set {folder} holds {first_names(names, MOST_NAMES)}, which are folders of files, patients or "
            "studies, not classes; give a folder that holds a folder for each class"
        )
    holding = {path.relative_to(folder).parts[:-1] for path in paths}
    outer = {parts for parts in holding if class_of(parts[-1:])}
    for parts in sorted(holding):
        for end in range(1, len(parts)):
            if parts[:end] in outer and class_of(parts[end:]) and class_of(parts) != parts[end - 1]:
                raise InputError(
                    f"data set {folder} holds {'/'.join(parts)} within the class folder {'/'.join(parts[:end])}, which "
                    "holds images of its own; move its images there if they are of that class, else move it out"
                )


def class_named(classes: Sequence[str], wanted: str, where: Path) -> str:
    """Return the class of a name, without regard to case where no other class has it.

    Raises
    ------
    InputError
        If there is none.
    """
    if wanted in classes:
        return wanted
    similar = [name for name in classes if name.casefold() == wanted.casefold()]
    if len(similar) == 1:
        return similar[0]
    there = f"data set {where} has no class {wanted}; its classes are {first_names(list(classes), MOST_NAMES)}"
    if any(path.is_dir() and path.name.casefold() == wanted.casefold() for path in where.iterdir()):
        raise InputError(
            f"{there}, the folders within {wanted} and others; name such folders patient1, study1 or images, or move "
            "their images up"
        )
    raise InputError(f"{there}: choose the positive one with --positive-class")


def require_different_names(classes: Sequence[str], where: Path) -> None:
    """Reject classes whose names differ in letter case, spaces or hyphens only, or as those of a folder and its copy.

    Raises
    ------
    InputError
    """
    first: dict[str, str] = {}
    for name in classes:
        plain = re.sub(r"(?<=\w)[ _.-](?=\w)", "", folded(COPY.sub("", name.strip())))
        other = first.setdefault(plain, name)
        if other != name:
            raise InputError(
                f"data set {where} has the classes {other!r} and {name!r}, which seem to be one; give their "
                "folders one name"
            )


def notes_on(folder: Path, paths: Sequence[Path]) -> list[str]:
    """Return what to say of folders that may mean something else: folds, parts, and patients of several classes."""
    folds: set[str] = set()
    classes: dict[str, set[str]] = {}
    parts: dict[Path, set[str]] = {}  # by the folders above those of the classes
    for path in paths:
        folders = path.relative_to(folder).parts[:-1]
        label = class_of(folders)
        above = folders[: max(i for i, name in enumerate(folders) if name == label)]
        parts.setdefault(folder.joinpath(*above), set()).add(label)
        folds |= {name for name in folders if FOLD.fullmatch(name)}
        for name in folders:
            if is_patient(name):
                classes.setdefault(name.lower(), set()).add(label)
    shared = sorted(name for name, of in classes.items() if len(of) > 1)
    pooled = sorted(where.as_posix() for where, of in parts.items() if len(of) > 1)
    notes = []
    if len(pooled) > 1 and len(folds) < 2:
        notes.append(
            f"the images of {first_names(pooled)}, each with folders of several classes, are pooled; if these "
            "hold the same images or the parts of a split data set, give one of them with -d"
        )
    if len(folds) > 1:
        notes.append(f"the images of {first_names(sorted(folds))} are pooled; --folds makes folds with patients apart")
    if shared:
        notes.append(
            f"{counted(len(shared), 'patient folder')} in several classes ({first_names(shared)}): those of one name "
            "count as one patient"
        )
    return notes


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
