"""From a request to inputs that the engine can compute."""

from puna.domain.generation import Prompt, TextPrompt, TokenPrompt
from puna.domain.models import ModelKind
from puna.engine.protocol import Count, Embed, Rank
from puna.errors import InvalidRequestError
from puna.worker.embedding.task import PreparedInputs
from puna.worker.embedding.tokenizer import InputTokenizer, PairTokenizer
from puna.worker.mailbox import CountedPrompt

NO_TEXT = {
    ModelKind.EMBEDDING: "This is an embedding model: it turns text into vectors and does not generate any.",
    ModelKind.RERANKER: "This is a reranker: it ranks documents and does not generate text.",
}


class InputPreparer:
    """Tokenises beside the thread that decodes, and refuses what this model cannot do."""

    def __init__(
        self, kind: ModelKind, inputs: InputTokenizer, pairs: PairTokenizer, *, embedding_length: int
    ) -> None:
        self._kind = kind
        self._inputs = inputs
        self._pairs = pairs
        self._embedding_length = embedding_length

    def prepare(self, message: Embed | Rank | Count) -> PreparedInputs | CountedPrompt:
        """Return the inputs, or the tokens of a prompt. Raises `InvalidRequestError` or `ContextOverflowError`."""
        match message:
            case Count(request_id, prompt):
                return CountedPrompt(request_id, self._count(prompt))
            case Embed(request_id, request):
                self._check_embeds(request.dimensions)
                tokens = self._inputs.tokenize(request.inputs, is_truncated=request.is_truncated)
                return PreparedInputs(request_id, request, tokens)
            case Rank(request_id, request):
                if self._kind is not ModelKind.RERANKER:
                    raise InvalidRequestError(
                        "This is an embedding model; choose a reranker to rank documents."
                    )
                pairs = self._pairs.tokenize(
                    request.query, request.documents, is_truncated=request.is_truncated
                )
                return PreparedInputs(request_id, request, pairs)

    def _count(self, prompt: Prompt) -> int:
        """Return the tokens of a prompt, whether or not it fits."""
        match prompt:
            case TextPrompt(text):
                return len(self._inputs.read(text))
            case TokenPrompt(tokens):
                return len(self._inputs.read(tokens))
            case _:
                raise InvalidRequestError(NO_TEXT[self._kind], field="model")

    def _check_embeds(self, dimensions: int | None) -> None:
        if self._kind is not ModelKind.EMBEDDING:
            raise InvalidRequestError("This is a reranker; choose an embedding model to get vectors.")
        if dimensions is not None and not 1 <= dimensions <= self._embedding_length:
            raise InvalidRequestError(
                f"`dimensions` must be a whole number from 1 to {self._embedding_length}, "
                "which is what this model has.",
                field="dimensions",
            )
