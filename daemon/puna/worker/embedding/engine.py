"""The step loop of an embedding model or a reranker: one decode a step, shared by all requests."""

from collections import deque
from collections.abc import Sequence

from puna.domain.models import WorkerStatus
from puna.errors import GenerationError
from puna.llama.context import DecodeResult, Vector
from puna.worker.embedding.plan import plan_batch
from puna.worker.embedding.runner import InputRunner
from puna.worker.embedding.task import PreparedInputs, Task
from puna.worker.embedding.vectors import is_sound
from puna.worker.mailbox import Cancelled, Command, Mailbox, Stop
from puna.worker.outbox import Counters, Outbox

BATCH_INPUTS = 64
"""The most inputs in one batch, which are the sequences of the context."""


class EmbeddingEngine:
    """Owns the context. `put` may be called from any thread; everything else belongs to the one that runs."""

    def __init__(self, runner: InputRunner, outbox: Outbox, *, slots: int, batch_tokens: int) -> None:
        """`slots` is how many requests count as running; all that are there take turns.

        Batches of short inputs are filled up to `batch_tokens`.
        """
        self._runner = runner
        self._outbox = outbox
        self._slots = slots
        self._batch_tokens = batch_tokens
        self._mailbox: Mailbox[PreparedInputs] = Mailbox(outbox)
        self._tasks: deque[Task] = deque()
        self._counters = Counters()
        self._is_stopping = False

    def put(self, command: Command[PreparedInputs]) -> None:
        """Queue a command; one that makes the running decode pointless ends it. From any thread."""
        self._mailbox.put(command)
        match command:
            case Cancelled(request_id):
                self._runner.interrupt(request_id)
            case Stop():
                self._runner.interrupt()

    def run(self) -> None:
        """Step until `Stop`; open requests get no answer then, for the daemon knows that the worker ends."""
        while not self._is_stopping:
            self._take_commands()
            if self._tasks and not self._is_stopping:
                self._step()
            self._outbox.flush(self._status())
        self._runner.close()

    def _status(self) -> WorkerStatus:
        busy = min(len(self._tasks), self._slots)
        return WorkerStatus(
            busy_slots=busy,
            waiting_requests=len(self._tasks) - busy + self._mailbox.expected,
            threads=self._runner.threads,
            prompt_tokens=self._counters.prompt_tokens,
            steps=self._counters.steps,
        )

    def _take_commands(self) -> None:
        for command in self._mailbox.take(is_idle=not self._tasks):
            match command:
                case Cancelled(request_id):
                    self._tasks = deque(task for task in self._tasks if task.request_id != request_id)
                case Stop():
                    self._is_stopping = True
                case PreparedInputs():
                    self._admit(Task(command))

    def _admit(self, task: Task) -> None:
        if task.is_done:
            self._outbox.answered(task.answer())
        else:
            self._tasks.append(task)

    def _step(self) -> None:
        """Compute a batch; whoever went first in it goes last in the next one."""
        waiting = [[len(tokens) for tokens in task.next_inputs(BATCH_INPUTS)] for task in self._tasks]
        counts = plan_batch(waiting, tokens=self._batch_tokens, inputs=BATCH_INPUTS)
        chosen = [(task, count) for task, count in zip(self._tasks, counts, strict=True) if count]
        inputs = [tokens for task, count in chosen for tokens in task.next_inputs(count)]
        computed = self._runner.compute(inputs, frozenset(task.request_id for task, _ in chosen))
        match computed.result:
            case DecodeResult.OK:
                self._counters.steps += 1
                self._counters.prompt_tokens += sum(map(len, inputs))
                self._tasks.rotate(-1)
                self._hand_out(chosen, computed.vectors)
            case DecodeResult.ABORTED:
                return
            case DecodeResult.NO_CELLS | DecodeResult.FAILED:
                error = GenerationError(
                    "llama.cpp could not compute this request; the worker's log says why."
                )
                for task, _ in chosen:
                    self._fail(task, error)

    def _hand_out(self, chosen: Sequence[tuple[Task, int]], vectors: Sequence[Vector]) -> None:
        rest = deque(vectors)
        for task, count in chosen:
            own = [rest.popleft() for _ in range(count)]
            if not all(map(is_sound, own)):
                self._fail(
                    task, GenerationError("The model made no numbers of an input; its file may be damaged.")
                )
                continue
            for vector in own:
                task.push(vector)
            if task.is_done:
                self._outbox.answered(task.answer())
                self._tasks.remove(task)

    def _fail(self, task: Task, error: GenerationError) -> None:
        self._outbox.failed(task.request_id, error)
        self._tasks.remove(task)
