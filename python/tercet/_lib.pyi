# Written by `TERCET_UPDATE=1 pytest python/tests/test_typing.py` as far as documentation goes.
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, SupportsIndex, final, overload
__all__ = ['Cell', 'Context', 'Fault', 'Graph', 'Mix', 'Problem', 'ProblemIterator', 'Problems', 'Quantity', 'Reward', 'Step', 'Verdict', 'World', 'advantages', 'context_from_toml', 'execute', 'explain', 'generate', 'plan', 'problem_from_json', 'problems_from_json', 'program', 'reading', 'report', 'results', 'reward', 'verify', 'verify_many', 'world_from_toml', 'write']
_Mode = Literal['forward', 'reverse']
_Policy = Literal['paper', 'reference', 'strict']
_Split = Literal['train', 'rl', 'validation', 'test']

@final
class World:
    """The bounds that problems are drawn in: every knob of the generator, with the reference generator's values as
    defaults (`docs/problems.md`; paper, Section 2). Knobs are named as in a recipe's `[world]`, e.g.
    `World(max_value=20, distractors=0)`.
    """

    def __new__(cls, **knobs: Any) -> World:
        ...

    @staticmethod
    def from_dict(knobs: Mapping[str, Any]) -> World:
        """A world from a dict of knobs."""

    @staticmethod
    def from_toml(text: str) -> World:
        """A world from TOML text with the keys of a recipe's `[world]`."""

    @staticmethod
    def from_file(path: str | PathLike[str]) -> World:
        """A world from a TOML file with the keys of a recipe's `[world]`."""

    @staticmethod
    def from_recipe(path: str | PathLike[str], scale: str | None=None) -> World:
        """The world of a recipe, at one of its scales."""

    def to_dict(self) -> dict[str, Any]:
        """Every knob with its value."""

    def to_toml(self) -> str:
        """The world as TOML text, with the keys of a recipe's `[world]`."""

    def __eq__(self, other: object, /) -> bool:
        ...

@final
class Cell:
    """The kind of a problem: op × context × mode.

    `op` is the number of operations, the sum of the in-degrees of the quantities that the answer depends on, literals
    included (paper, Section 2). `context` is the story's name. `mode` is `forward`, which asks for the last quantity, or
    `reverse`, which gives its value and asks for an earlier one.
    """

    def __new__(cls, op: int, context: str='zoo', mode: str='forward') -> Cell:
        ...

    @staticmethod
    def from_dict(cell: Mapping[str, Any]) -> Cell:
        """A cell from a dict with `op`, `context` and `mode`."""

    @staticmethod
    def from_toml(text: str) -> Cell:
        """A cell from TOML text with `op`, `context` and `mode`."""

    @property
    def op(self) -> int:
        """The number of operations."""

    @property
    def context(self) -> str:
        """The name of the context."""

    @property
    def mode(self) -> _Mode:
        """`forward` or `reverse`."""

    def __getnewargs__(self) -> tuple[int, str, str]:
        ...

    def __eq__(self, other: object, /) -> bool:
        ...

    def __hash__(self) -> int:
        ...

@final
class Context:
    """A story that problems are told in: names of places and things, and phrases. A context of one's own is a TOML file as
    in `recipes/contexts`; loading it lets the judge verify correct solutions with each of its names.
    """

    @staticmethod
    def from_toml(text: str) -> Context:
        """A context from TOML text."""

    @staticmethod
    def from_dict(context: Mapping[str, Any]) -> Context:
        """A context from a dict with the keys of its TOML file."""

    @staticmethod
    def from_file(path: str | PathLike[str]) -> Context:
        """A context from a TOML file."""

    @staticmethod
    def builtin(name: str) -> Context:
        """A context that comes with Tercet, by its name."""

    @staticmethod
    def names() -> list[str]:
        """The names of the contexts that come with Tercet."""

    @property
    def name(self) -> str:
        """Its name."""

    def to_toml(self) -> str:
        """Its file's text."""

    def __eq__(self, other: object, /) -> bool:
        ...

    def __hash__(self) -> int:
        ...

@final
class Graph:
    """The dependency graph of a problem: its quantities, how each is computed, and its value. `str()` draws it with
    characters, a notebook shows it as a picture.
    """

    @property
    def json(self) -> str:
        """The graph as in the problem's record: one JSON text."""

    @property
    def names(self) -> list[str]:
        """The names of the quantities: those on the path to the answer first, in an order in which each follows the
        quantities it is computed from, then those that the answer does not need.
        """

    def svg(self) -> str:
        """The graph as an SVG picture."""

    def _repr_html_(self) -> str:
        ...

    def __len__(self) -> int:
        ...

@final
class Problem:
    """A problem: a dependency graph told as a story, with its question, its solution and its answer. It cannot be changed.

    `prompt` and `response` are the very texts that models are trained on: their concatenation is a training document.
    """

    @staticmethod
    def from_record(record: str | Mapping[str, Any]) -> Problem:
        """The problem of a record: a line that `tercet problems` wrote, as text or as a dict. It is checked: the graph is well
        formed, and op, answer, mode and hashes agree with it.
        """

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the text's hash."""

    @property
    def prompt(self) -> str:
        """What a model is given: `<question> … </question> <solution>`."""

    @property
    def response(self) -> str:
        """What a model should answer, with the blank that follows the prompt: ` … </solution> <answer> n </answer>`. The end
        token is not part of it.
        """

    @property
    def text(self) -> str:
        """The training document: prompt and response, without the end token."""

    @property
    def question(self) -> str:
        """The sentences and the question, without tags."""

    @property
    def answer(self) -> int:
        """The answer."""

    @property
    def op(self) -> int:
        """The number of operations: the sum of the in-degrees on the path to the answer (paper, Section 2)."""

    @property
    def context(self) -> str:
        """The name of the context."""

    @property
    def mode(self) -> _Mode:
        """`forward` or `reverse`."""

    @property
    def cell(self) -> Cell:
        """op, context and mode together."""

    @property
    def index(self) -> int:
        """Its number in its cell."""

    @property
    def seed(self) -> int:
        """The seed it was made with."""

    @property
    def graph(self) -> Graph:
        """The dependency graph."""

    @property
    def record_json(self) -> str:
        """The record that `tercet problems` writes: one line of JSON, without the line's end. It crosses to other programs as
        text, since Arrow refuses its graph.
        """

    def record(self) -> dict[str, Any]:
        """The record as a dict: `json.loads(problem.record_json)`."""

    def row(self) -> dict[str, str | int]:
        """A row of a data set, scalars only: `id`, `prompt`, `response`, `answer`, `op`, `context`, `mode`, `index`, `seed`, and
        `record`, which is the whole problem as one JSON text.
        """

    def _repr_html_(self) -> str:
        ...

    def __eq__(self, other: object, /) -> bool:
        ...

    def __hash__(self) -> int:
        ...

@final
class ProblemIterator(Iterator[Any]):
    """Goes through problems and makes them ahead, on all cores."""

    def __next__(self) -> Any:
        ...

    def __length_hint__(self) -> int:
        ...

@final
class Problems:
    """Problems, made when they are asked for: a sequence with random access and slices, in the order of
    `tercet problems`. Problem i of a cell depends on the world, the seed, the split and i, and on nothing else.

    It can be given to a `torch.utils.data.DataLoader` as it is, and its rows to `datasets.Dataset.from_generator`.
    Making problems releases the interpreter's lock.
    """

    def __len__(self) -> int:
        ...

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> Problem:
        ...

    @overload
    def __getitem__(self, key: slice, /) -> Problems:
        ...

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> list[Problem]:
        ...

    def __iter__(self) -> Iterator[Problem]:
        ...

    def __reversed__(self) -> Iterator[Problem]:
        ...

    def rows(self) -> Iterator[dict[str, str | int]]:
        """An iterator over the problems as rows of a data set; see `Problem.row`."""

    def __eq__(self, other: object, /) -> bool:
        ...

@final
class Fault:
    """What is wrong, and where: `text[fault.start:fault.end]`."""

    @property
    def kind(self) -> str:
        """The kind's name, e.g. `wrong-value` (docs/verifier.md lists them)."""

    @property
    def meaning(self) -> str:
        """One line for a reader."""

    @property
    def start(self) -> int:
        """The first character that it is about."""

    @property
    def end(self) -> int:
        """The character after the last."""

    def __eq__(self, other: object, /) -> bool:
        ...

    def __hash__(self) -> int:
        ...

@final
class Step:
    """What the judge says of one step of a response: `text[step.start:step.end]`."""

    @property
    def name(self) -> str:
        """The quantity's name as written; `equation` for the equation of a reverse problem."""

    @property
    def correct(self) -> bool:
        """The step is correct under the policy."""

    @property
    def fault(self) -> Fault | None:
        """The first thing that is wrong with it, even where the policy accepts that."""

    @property
    def says(self) -> str | None:
        """Where the value is wrong: what the step says."""

    @property
    def truth(self) -> str | None:
        """Where the value is wrong: what is true."""

    @property
    def missing_parents(self) -> list[str]:
        """Quantities that the step should use and does not."""

    @property
    def extra_parents(self) -> list[str]:
        """Quantities that the step uses and should not."""

    @property
    def start(self) -> int:
        """Its first character."""

    @property
    def end(self) -> int:
        """The character after its last."""

    def __eq__(self, other: object, /) -> bool:
        ...

@final
class Quantity:
    """What became of one quantity of the true solution. When it is defined more than once, the last step counts."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def present(self) -> bool:
        """A step defines it."""

    @property
    def parents_correct(self) -> bool:
        """That step computes it from exactly the true quantities."""

    @property
    def value_correct(self) -> bool:
        """That step gives it the true value."""

    @property
    def correct(self) -> bool:
        """All three: `s(v)` of the paper."""

    def __eq__(self, other: object, /) -> bool:
        ...

@final
class Verdict:
    """What the judge says of a response. Offsets count characters of the response."""

    @property
    def verified(self) -> bool:
        """The response is correct under the policy (`VerifiedCorrect` of the paper, Section 2), and it was not cut."""

    @property
    def correct(self) -> bool:
        """The answer is correct, whatever the process, and the response was not cut."""

    @property
    def process(self) -> float:
        """Share of the process that is correct, 0 to 1 (`ProcessAcc` of the paper; the policy `reference` counts penalties)."""

    @property
    def answer(self) -> str | None:
        """The answer in its normal form; None when there is none, when it is no number, or when several differ."""

    @property
    def first_fault(self) -> Fault | None:
        """The first fault in the text, even where the policy accepts it; None if there is none."""

    @property
    def answer_fault(self) -> Fault | None:
        """What is wrong with the answer; None if nothing is."""

    @property
    def steps(self) -> list[Step]:
        """The steps of the response, in the order of the text."""

    @property
    def quantities(self) -> list[Quantity]:
        """The quantities of the true solution, in its order."""

    @property
    def policy(self) -> _Policy:
        """The policy that decided."""

    @property
    def cut(self) -> bool:
        """The response ran into the length limit, as `cut` said."""

    @property
    def truncated(self) -> bool:
        """The text stops before it gives an answer."""

    @property
    def well_formed(self) -> bool:
        """The tags are exactly `… </solution> <answer> n </answer>`."""

    @property
    def arithmetic_sound(self) -> bool:
        """Every chain of every step holds, and so does every line of the equation."""

    @property
    def text(self) -> str:
        """The response that was judged."""

    @property
    def json(self) -> str:
        """The whole verdict as one JSON text, as `tercet verify --full` writes it, with offsets in characters."""

    def explain(self) -> str:
        """The response, a step a line, with marks under what is wrong and the reason behind it."""

    def _repr_html_(self) -> str:
        ...

@final
class Reward:
    """A reward and what it is made of (paper, Sections 2 and 6); `float()` gives the reward."""

    @property
    def reward(self) -> float:
        """What the policy gradient uses, 0 to 1. A response that was cut earns 0."""

    @property
    def outcome(self) -> float:
        """1 if the answer is correct."""

    @property
    def process(self) -> float:
        """The process part, 0 to 1: share of quantities that are correct, or the published code's penalty form."""

    @property
    def verified(self) -> float:
        """1 if the response is verified under the policy."""

    @property
    def format(self) -> float:
        """1 if the tags are as they should be."""

    @property
    def truncated(self) -> float:
        """1 if the text stops before its answer."""

    def __float__(self) -> float:
        ...

    def __eq__(self, other: object, /) -> bool:
        ...

@final
class Mix:
    """An iterator over the problems of a mix; it has no end."""
    ...

    def __iter__(self) -> Mix:
        ...

    def __next__(self) -> Problem:
        ...

def generate(op: int | str | Iterable[int] | None=None, context: str | Context | Iterable[str | Context] | None=None, mode: str | Iterable[str] | None=None, *, cells: Sequence[Cell] | None=None, n: int=10, seed: int=1, split: str | None=None, by_text: bool=False, start: int=0, world: World | dict[str, Any] | None=None) -> Problems:
    """Problems of exact difficulty, as `tercet problems` writes them: `n` of each cell, context by context, in each mode by
    mode, in each op by op.

    - `op`: numbers of operations, as `4`, `"2-8"`, `"2-6,9"` or a list of numbers.
    - `context`: name of a context that comes with Tercet, a `Context`, or several of them.
    - `mode`: `forward`, `reverse`, or both in a list.
    - `cells`: cells in place of `op`, `context` and `mode`.
    - `n`: problems of each cell. Nothing is made before it is asked for, so `n` may be as large as you like.
    - `seed`: problems of other seeds are other problems.
    - `split`: only problems of `train`, `rl`, `validation` or `test`. Splits keep structures apart; `by_text` keeps texts
      apart instead, the paper's weaker rule.
    - `start`: number of the first problem of each cell.
    - `world`: the bounds that problems are drawn in, as a `World` or a dict of its knobs.

    Raises `ValueError` if no such problem can be made.
    """

def verify(problem: Problem, text: str, *, policy: str='paper', cut: bool=False) -> Verdict:
    """Judges a response: the text after `<solution>`, without the end token. Any text gets a verdict.

    - `policy`: `paper`, `reference` or `strict`, as in docs/verifier.md.
    - `cut`: whether the response ran into the length limit. Then it is a failure, whatever it says.
    """

def verify_many(problems: Problem | Problems | Iterable[Problem], texts: Sequence[str], *, policy: str='paper', cut: bool | Iterable[bool] | None=None) -> list[Verdict]:
    """Judges many responses on all cores, with the interpreter's lock released.

    - `problems`: one problem for all responses, or as many as there are responses, as a list or as `Problems`.
    - `texts`: the responses.
    - `cut`: whether each ran into the length limit, or one value for all.
    """

def explain(problem: Problem, text: str, *, policy: str='paper') -> str:
    """A response judged and explained: a step a line, with marks under what is wrong and the reason behind it."""

def reward(problem: Problem, text: str, *, kind: str, alpha: float | None=None, policy: str='paper', cut: bool=False) -> Reward:
    """The reward of a response, as a recipe's `reward` computes it.

    - `kind`: `outcome`, 1 for the correct answer; `strict`, 1 if verified under the policy; `blend`, alpha · outcome +
      (1 − alpha) · process; `reference`, 0 if the answer is wrong, else alpha + (1 − alpha) · the published code's process
      score.
    - `alpha`: the weight of the answer in `blend` and `reference`, 0 to 1.
    - `policy`, `cut`: as in `verify`. A response that was cut earns 0.
    """

def write(problems: Iterable[Problem], path: str | PathLike[str], format: str='records') -> int:
    """Writes problems to a file that trainers read, as `tercet problems --format FORMAT --out PATH` does, with the same bytes.
    Returns how many there were.

    - `problems`: any iterable of them; it is read in blocks.
    - `path`: `.parquet`, or lines, compressed if the name ends in `.gz` or `.zst`.
    - `format`: `records`, `text`, `sft`, `prompts` or `chat`.

    Raises `ValueError` if there is no such format, and `OSError` if the file cannot be written.
    """

def reading(recipe: str | PathLike[str], overrides: Sequence[str], mix: str, seed: int) -> Mix:
    """The problems of a recipe's mix, without end, in the order in which the first stage that is trained on it reads them, as
    `tercet problems --mix NAME` writes them; the package's `mix` calls it.
    """

def advantages(rewards: Sequence[Sequence[float]], kind: str='grpo') -> list[list[float]]:
    """The advantage of every response, from the rewards of each prompt's group, as a recipe's `advantage` computes it. A group
    with equal rewards gets zeros.

    - `rewards`: a list for each prompt.
    - `kind`: `grpo`, (r − mean) / (std + 1e-6) with the sample standard deviation; `grpo-no-std`, r − mean; `rloo`, r − the
      mean of the others; or another of a recipe's that has no setting of its own.
    """

def program(args: Sequence[str]) -> int:
    """Runs the program `tercet` with these arguments, of which the first is its name, and returns its exit code. Call it once
    in a process: it sets the number of threads and the handlers of signals.
    """

def execute(recipe: str | PathLike[str], overrides: Sequence[str], out: str | PathLike[str] | None, arm: str | None, seed: int | None, reuse: Sequence[str | PathLike[str]], threads: int | None, command: str, listener: Any) -> tuple[Any, Any, str]:
    """Runs a recipe and writes its report; the package's `run` calls it. News go to `listener`."""

def plan(recipe: str | PathLike[str], overrides: Sequence[str]) -> str:
    """What a recipe will cost, as JSON; the package's `plan` reads it."""

def report(folder: str | PathLike[str]) -> tuple[Any, str]:
    """Writes the report of a run folder; returns the report's path and the table for a terminal."""

def results(folder: str | PathLike[str]) -> str:
    """The results of a run folder as rows of scalars, three lists in one JSON text; the package's `results` reads it."""

def world_from_toml(text: str) -> World:
    """Makes a pickled world again."""

def context_from_toml(text: str) -> Context:
    """Makes a pickled context again."""

def problem_from_json(record: str) -> Problem:
    """Makes a pickled problem again."""

def problems_from_json(asked: str, first: int, step: int, len: int) -> Problems:
    """Makes pickled problems again."""
