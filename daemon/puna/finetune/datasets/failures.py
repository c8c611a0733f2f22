"""What ends the reading of a dataset, and the refusal of one."""

from puna.domain.datasets import DatasetReport, Finding, FindingCode
from puna.errors import InvalidRequestError


class UnreadableDatasetError(InvalidRequestError):
    """Reading cannot go on; `finding` says where and why."""

    def __init__(
        self,
        code: FindingCode,
        message: str,
        *,
        row: int | None = None,
        line: int | None = None,
        byte_offset: int | None = None,
    ) -> None:
        super().__init__(message)
        self.finding = Finding(
            code=code,
            message=message,
            rows=() if row is None else (row,),
            line=line,
            byte_offset=byte_offset,
        )


class DatasetRefusedError(InvalidRequestError):
    """A dataset has errors; `report` lists all that was found. Nothing was stored."""

    def __init__(self, report: DatasetReport) -> None:
        first, *others = report.errors
        more = f" ({len(others)} more in the report.)" if others else ""
        super().__init__(f"{first.message}{more}", field="file")
        self.report = report
