"""Flags of an audit, and the settings that they stand for."""

from __future__ import annotations

from pathlib import Path

from detector.audit import options as audit_flags
from detector.audit.options import AuditData, AuditEvaluation
from detector.cli.arguments import Parser


def parsed(*arguments: str):
    parser = Parser("Audit.", "audit")
    audit_flags.add_audit(parser)
    return audit_flags.audit_options(parser.parse_args(arguments))


def test_without_flags_the_tutorials_recipe_is_audited_in_five_folds():
    found = parsed()
    assert found.data == AuditData(Path("dataset"))
    assert found.evaluation == AuditEvaluation(5, 3, 42, [], Path("covid19.model.h5"))
    assert (found.model.recipe, found.quiet, found.timings) == ("tutorial", False, False)


def test_each_flag_arrives_where_it_belongs():
    found = parsed(
        *("-d", "mine", "--positive-class", "Covid", "--controls", "c", "--masks", "m", "--clinical-columns", "age"),
        *("--folds", "4", "--repeats", "1", "--seed", "7", "--external", "x", "--external", "y", "-m", "z.h5"),
        *("--recipe", "probe", "--cache", "k", "--quiet", "--timings"),
    )
    assert found.data == AuditData(Path("mine"), "Covid", Path("c"), Path("m"), "age")
    assert found.evaluation == AuditEvaluation(4, 1, 7, [Path("x"), Path("y")], Path("z.h5"))
    assert (found.model.pooling, found.compute.cache, found.quiet, found.timings) == ("lungs", Path("k"), True, True)
