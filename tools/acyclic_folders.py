"""A contract for import-linter: the modules of a folder import each other in no circle."""

from __future__ import annotations

from typing import Any, cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.application import contract_utils


class AcyclicFolders(Contract):
    """Each folder of `root`, and `root` itself, has no circle of imports."""

    type_name = "acyclic_folders"

    root = fields.StringField()
    ignore_imports = fields.SetField(subfield=fields.ImportExpressionField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports without which there would be no circle."""
        ignored, root = cast(Any, self.ignore_imports), str(self.root)
        contract_utils.remove_ignored_imports(graph, ignored, contract_utils.AlertLevel.NONE)
        folders = [root, *graph.find_children(root)]
        circular = sorted(found for folder in folders for found in graph.nominate_cycle_breakers(folder))
        return ContractCheck(kept=not circular, metadata={"circular": circular})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print these imports."""
        for importer, imported in check.metadata["circular"]:
            output.print_error(f"{importer} imports {imported}, which imports it in turn")
