"""Training of an adapter: what is asked for, what is planned, and what came of it."""

import re

from msgspec import Struct

ALL_TARGETS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
"""The matrices of a block that an adapter can change, as GGUF names them."""
ROW_UNIT = 256
"""llama.cpp pads contexts to multiples of this, so rows have such lengths."""
LONGEST_ROW = 2048
"""Tokens of a row unless a setting asks for more: the attention's cost and memory grow with the square."""
_MOST_ROW = 131_072

_NO_GATE = "its feed-forward uses GELU, for whose gate llama.cpp has no backward pass"
_FUSED = "its gate and up projections are one tensor, for which llama.cpp has no backward pass"
_EXPERTS = "it routes tokens to experts, for which llama.cpp has no backward pass"
_RECURRENT = "it has recurrent layers, for which llama.cpp has no backward pass"
_OBSTACLES: dict[str, str] = {
    **dict.fromkeys(
        ("gemma", "gemma2", "gemma3", "gemma3n", "gemma4", "gpt2", "gptneox", "falcon", "bloom"), _NO_GATE
    ),
    **dict.fromkeys(
        ("mpt", "starcoder", "starcoder2", "phi2", "stablelm2", "bert", "nomic-bert", "t5"), _NO_GATE
    ),
    **dict.fromkeys(("phi3", "chatglm", "glm4"), _FUSED),
    **dict.fromkeys(
        ("qwen2moe", "qwen3moe", "phimoe", "deepseek2", "olmoe", "dbrx", "grok", "arctic"), _EXPERTS
    ),
    **dict.fromkeys(
        ("gpt-oss", "glm4moe", "llama4", "ernie4_5-moe", "bailingmoe", "granitemoe", "hunyuan-moe"), _EXPERTS
    ),
    **dict.fromkeys(
        ("mamba", "mamba2", "rwkv6", "rwkv7", "jamba", "falcon-h1", "granitehybrid", "lfm2"), _RECURRENT
    ),
    **dict.fromkeys(
        ("nemotron_h", "plamo2", "qwen3next", "qwen35", "qwen35moe", "kimi-linear", "bamba"), _RECURRENT
    ),
}
_EXPERT_TENSOR = re.compile(r"\.ffn_(gate|up|down)(_up)?_exps\.")


class TrainingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person may choose. `find_fault` says whether it can be used."""

    epochs: float | None = None
    """Passes over the samples; 0.5 trains on half of them. None takes 3, and more where that would be few steps."""
    learning_rate: float | None = None
    """At its peak, after the warm-up. None chooses it by the model's width: 0.001 for 256, 0.00025 for 4096."""
    rank: int = 16
    alpha: float | None = None
    """The adapter's effect is scaled by alpha / rank; None is twice the rank."""
    targets: tuple[str, ...] = ALL_TARGETS
    row_length: int | None = None
    """Tokens of a training step; None chooses it from the samples."""
    seed: int = 1
    warm_up: float = 0.05
    """Share of the steps in which the learning rate rises from 0."""
    final_rate: float = 0.1
    """What is left of the learning rate in the last step, as a share of the peak."""
    weight_decay: float = 0.0
    threads: int | None = None
    """None uses the physical cores."""
    checkpoint_every_s: float = 60.0

    @property
    def scale(self) -> float:
        """`adapter.lora.alpha` of the adapter."""
        return 2.0 * self.rank if self.alpha is None else self.alpha

    def find_fault(self) -> tuple[str, str] | None:
        """Return the first field that cannot be used, with what it may be; None where all can."""
        return next(((name, allowed) for name, is_right, allowed in self._rules() if not is_right), None)

    def _rules(self) -> tuple[tuple[str, bool, str], ...]:
        length = self.row_length
        return (
            ("epochs", self.epochs is None or 0 < self.epochs <= 1000, "above 0 and at most 1000"),
            (
                "learning_rate",
                self.learning_rate is None or 1e-9 <= self.learning_rate <= 0.1,
                "from 1e-09 to 0.1",
            ),
            ("rank", 1 <= self.rank <= 256, "a whole number from 1 to 256"),
            ("alpha", self.alpha is None or 0.001 <= self.alpha <= 1024, "from 0.001 to 1024"),
            (
                "targets",
                bool(self.targets) and set(self.targets) <= set(ALL_TARGETS),
                f"some of {', '.join(ALL_TARGETS)}",
            ),
            (
                "row_length",
                length is None or (0 < length <= _MOST_ROW and length % ROW_UNIT == 0),
                f"a multiple of {ROW_UNIT}, at most {_MOST_ROW}",
            ),
            ("seed", 0 <= self.seed < 2**32, "a whole number from 0 to 4294967295"),
            ("warm_up", 0 <= self.warm_up < 1, "from 0 to below 1"),
            ("final_rate", 0 <= self.final_rate <= 1, "from 0 to 1"),
            ("weight_decay", 0 <= self.weight_decay <= 1, "from 0 to 1"),
            ("threads", self.threads is None or 1 <= self.threads <= 512, "a whole number from 1 to 512"),
            ("checkpoint_every_s", self.checkpoint_every_s > 0, "above 0"),
        )


class TextPart(Struct, frozen=True):
    """A piece of a sample's text."""

    text: str
    is_answer: bool = False
    """Whether the model shall learn to write it; the rest is only read."""
    has_control: bool = False
    """Whether names such as `<|im_end|>` in it are the control tokens they name; never for text of people."""


class TextSample(Struct, frozen=True, tag="text"):
    """A sample that the trainer turns into tokens, part by part."""

    parts: tuple[TextPart, ...]
    is_opened: bool = True
    """Whether the model's beginning-of-text token comes first, where the model wants one."""
    is_ended: bool = True
    """Whether the model's end-of-text token comes last, as a part of the answer."""


class TokenSample(Struct, frozen=True, tag="tokens"):
    """A sample in tokens."""

    tokens: list[int]
    answers: tuple[tuple[int, int], ...]
    """Begin and end of each run of tokens that the model shall learn to write. The first token cannot be one."""


Sample = TextSample | TokenSample


class Choice(Struct, frozen=True):
    """A question with several answers, to measure accuracy: the likeliest one counts as the model's."""

    options: tuple[Sample, ...]
    right: int
    """Index of the right one."""


class TrainingEstimate(Struct, frozen=True, kw_only=True):
    """What the training will take."""

    seconds: float
    memory_bytes: int
    """At its peak, the weights of the base included."""


class TrainingPlan(Struct, frozen=True, kw_only=True):
    """What is going to happen, known before it begins."""

    architecture: str
    samples: int
    too_long: int
    """Samples left out because they do not fit a row."""
    too_long_rows: tuple[int, ...]
    """Numbers of the first of them, counted from 0 in the order in which they were given."""
    without_answer: int
    """Samples left out because nothing in them is to be learnt."""
    tokens: int
    """Of all samples that take part, once."""
    answer_tokens: int
    row_length: int
    rows: int
    """One pass over the samples."""
    steps: int
    epochs: float = 3.0
    """Passes over the samples, as asked for or chosen."""
    learning_rate: float = 2e-4
    """At its peak, as asked for or chosen. These defaults are those of plans that were written without them."""
    first_step: int
    """Steps done before, where a checkpoint is gone on from."""
    parameters: int
    """Numbers in the adapter."""
    threads: int
    notes: tuple[str, ...]
    """What is not as one might expect, in whole sentences."""
    estimate: TrainingEstimate


class TrainingProgress(Struct, frozen=True, kw_only=True):
    """A step is done."""

    step: int
    """Counted from 1."""
    steps: int
    epoch: float
    """Passes over the samples so far."""
    loss: float
    """Nats for each answer token of this step's row, before the step."""
    learning_rate: float
    tokens_per_s: float
    """Of samples, without what fills rows up; of the last steps."""
    seconds_left: float


class Evaluation(Struct, frozen=True, kw_only=True):
    """What the model makes of samples that it is not trained on."""

    samples: int
    loss: float
    """Nats for each answer token; 0 without samples."""
    exact: int
    """Samples whose answer the model would write itself, token by token."""
    choices: int
    right: int
    """Choices in which the right option was the likeliest."""


class TrainingResult(Struct, frozen=True, kw_only=True):
    """The adapter is written."""

    steps: int
    loss: float
    """Mean of the last pass, or of all steps where there were fewer."""
    before: Evaluation | None
    after: Evaluation | None
    seconds: float
    """Of training and evaluating, those before a resume too."""
    memory_bytes: int
    """The most that the trainer took."""
    parameters: int


def find_obstacle(architecture: str, tensor_names: tuple[str, ...] = ()) -> str | None:
    """Return why a model of this architecture cannot be trained, as a clause; None where nothing is known against it.

    What is None here may still be refused by the trainer, which looks at the graph itself.
    """
    if any(_EXPERT_TENSOR.search(name) for name in tensor_names):
        return _EXPERTS
    return _OBSTACLES.get(architecture)
