"""Grammar spaces: networks derived from productions, valid by construction."""

from niwaki.spaces.grammar.attributes import Attributes, Evaluation, Spot
from niwaki.spaces.grammar.canonical import Canonical
from niwaki.spaces.grammar.check import check_file, check_grammar
from niwaki.spaces.grammar.costs import Budget, Cost
from niwaki.spaces.grammar.counting import Counting
from niwaki.spaces.grammar.distance import distance, relative_distance
from niwaki.spaces.grammar.encoding import Encoding
from niwaki.spaces.grammar.findings import Finding, Level
from niwaki.spaces.grammar.flows import Attribute, Branch, Cell, Chain, Flow, Place
from niwaki.spaces.grammar.grammar import Effect, Grammar, Item, Operation, Production, Terminal
from niwaki.spaces.grammar.picture import svg
from niwaki.spaces.grammar.rates import (
    branching_rate,
    expected_operations,
    return_rate,
)
from niwaki.spaces.grammar.reader import load_grammar, read_grammar
from niwaki.spaces.grammar.report import GrammarReport, check_report
from niwaki.spaces.grammar.space import GrammarSpace
from niwaki.spaces.grammar.spelling import read_tree
from niwaki.spaces.grammar.tilting import tilted
from niwaki.spaces.grammar.totals import count_all
from niwaki.spaces.grammar.tree import Tree, shared, tree_from_json, tree_from_value
from niwaki.spaces.grammar.variation import Change

__all__ = [
    "Attribute",
    "Attributes",
    "Branch",
    "Budget",
    "Canonical",
    "Cell",
    "Chain",
    "Change",
    "Cost",
    "Counting",
    "Effect",
    "Encoding",
    "Evaluation",
    "Finding",
    "Flow",
    "Grammar",
    "GrammarReport",
    "GrammarSpace",
    "Item",
    "Level",
    "Operation",
    "Place",
    "Production",
    "Spot",
    "Terminal",
    "Tree",
    "branching_rate",
    "check_file",
    "check_grammar",
    "check_report",
    "count_all",
    "distance",
    "expected_operations",
    "load_grammar",
    "read_grammar",
    "read_tree",
    "relative_distance",
    "return_rate",
    "shared",
    "svg",
    "tilted",
    "tree_from_json",
    "tree_from_value",
]
