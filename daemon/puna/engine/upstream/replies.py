"""What engines answer. Whatever they may leave out has a default, and what nobody needs is not read."""

from msgspec import Struct


class ErrorFields(Struct, frozen=True):
    """What failed."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class ErrorDetail(Struct, frozen=True):
    """One of FastAPI's complaints about a body."""

    msg: str | None = None


class ErrorReply(Struct, frozen=True):
    """An answer that is an error, in OpenAI's form, older vLLM's or FastAPI's."""

    error: ErrorFields | str | None = None
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    detail: str | list[ErrorDetail] | None = None

    @property
    def fields(self) -> ErrorFields:
        """What failed, wherever it stands."""
        match self.error:
            case ErrorFields():
                return self.error
            case str():
                return ErrorFields(self.error)
            case None:
                return ErrorFields(self.message or self._told_detail, self.type, self.code)

    @property
    def _told_detail(self) -> str | None:
        if isinstance(self.detail, list):
            return "; ".join(each.msg for each in self.detail if each.msg) or None
        return self.detail


class PromptDetails(Struct, frozen=True):
    """Of the prompt's tokens, those that were cached."""

    cached_tokens: int | None = None


class CompletionDetails(Struct, frozen=True):
    """Of the text's tokens, those that the model thought with."""

    reasoning_tokens: int | None = None


class UsageFields(Struct, frozen=True):
    """What a request cost."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class FunctionDelta(Struct, frozen=True):
    """More of a call."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(Struct, frozen=True):
    """The begin of a call, or more of it."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta = FunctionDelta()


class Delta(Struct, frozen=True):
    """What has come since the last chunk."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """The same under the name of OpenRouter, Ollama and newer vLLM; some send both."""
    tool_calls: list[CallDelta] | None = None


class TopFields(Struct, frozen=True):
    """A likely token of a chat."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class TokenFields(TopFields, frozen=True):
    """A token of a chat, and others in its place."""

    top_logprobs: list[TopFields] | None = None


class LogprobFields(Struct, frozen=True):
    """Tokens in the form of chats (`content`) or of text completions (lists of equal length)."""

    content: list[TokenFields] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class ChoiceFields(Struct, frozen=True):
    """More of the one answer that was asked for."""

    delta: Delta | None = None
    """Of a chat."""
    text: str | None = None
    """Of a text completion."""
    logprobs: LogprobFields | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM's: the stop string, or the token, that ended the text."""
    matched_stop: str | int | list[int] | None = None
    """SGLang's name for the same."""


class Chunk(ErrorReply, frozen=True):
    """One event of a stream; an error is one that has no choices."""

    choices: list[ChoiceFields] | None = None
    usage: UsageFields | None = None


class ModelMeta(Struct, frozen=True):
    """What llama-server tells of a model."""

    n_ctx: int | None = None
    n_ctx_train: int | None = None
    n_params: int | None = None


class ModelFields(Struct, frozen=True):
    """A model of the engine."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    """vLLM's, SGLang's and Puna's."""
    context_length: int | None = None
    """OpenRouter's."""
    context_window: int | None = None
    """Groq's."""
    meta: ModelMeta | None = None

    @property
    def request_tokens(self) -> int:
        """Tokens that one request may use; 0 where the engine does not say."""
        meta = self.meta or ModelMeta()
        told = (self.max_model_len, meta.n_ctx, self.context_length, self.context_window, meta.n_ctx_train)
        return next((each for each in told if each), 0)


class ModelsReply(Struct, frozen=True):
    """GET /models."""

    data: list[ModelFields]


class VectorFields(Struct, frozen=True):
    """One vector, by the index of its input."""

    embedding: str | list[float]
    """Base64 of 32-bit floats, little-endian, or numbers."""
    index: int | None = None


class VectorsReply(Struct, frozen=True):
    """POST /embeddings."""

    data: list[VectorFields]
    usage: UsageFields | None = None


class RankFields(Struct, frozen=True):
    """The score of a document, by its index in the request."""

    index: int
    relevance_score: float | None = None
    score: float | None = None
    """SGLang's name."""


class RankReply(Struct, frozen=True):
    """POST /rerank."""

    results: list[RankFields]
    usage: UsageFields | None = None


class CountReply(Struct, frozen=True):
    """POST /tokenize of vLLM."""

    count: int
