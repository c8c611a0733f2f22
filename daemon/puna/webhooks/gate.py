"""The way out: to which addresses a message to a receiver may go, now."""

from collections.abc import Sequence

from puna.webhooks.address import AddressRefusedError, AddressRules, Target, judge_address, refusal
from puna.webhooks.lookup import LookupFailedError, Resolve


class Gate:
    """Resolves and judges. Its answer holds for this moment only: the next time a name may lead elsewhere."""

    def __init__(self, rules: AddressRules, resolve: Resolve) -> None:
        self._rules = rules
        self._resolve = resolve

    async def admit(self, target: Target) -> Sequence[str]:
        """Return the addresses of the receiver that the rules allow; there is one at least.

        Raises `AddressRefusedError` where they allow none, and `LookupFailedError`.
        """
        addresses = await self._resolve(target.host, target.port)
        verdicts = {address: judge_address(address, self._rules) for address in addresses}
        allowed = [address for address, verdict in verdicts.items() if verdict is None]
        if not allowed:
            raise self._refuse(target, verdicts)
        return allowed

    @staticmethod
    def _refuse(target: Target, verdicts: dict[str, str | None]) -> AddressRefusedError | LookupFailedError:
        for address, verdict in verdicts.items():
            if verdict is not None:
                return refusal(address, verdict, target.host)
        return LookupFailedError(f"The name {target.host} has no address.")
