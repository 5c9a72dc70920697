"""What a measure refuses, in words that an interface can pass on."""


class MeasureRefused(Exception):
    """A parameter that no answer exists for; `code` is stable, `parameter` names the culprit."""

    def __init__(self, parameter: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter
        self.code = code
        self.detail = detail
