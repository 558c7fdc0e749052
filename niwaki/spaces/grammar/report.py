"""What `niwaki grammar check` says of a grammar file."""

from dataclasses import dataclass
from pathlib import Path

from niwaki.core.errors import SpaceError
from niwaki.core.jsonable import JSON
from niwaki.spaces.grammar.check import check_file
from niwaki.spaces.grammar.findings import Finding, Level


@dataclass(frozen=True)
class GrammarReport:
    """Everything that was found in a grammar file.

    Attributes:
        path: Of the file.
        findings: In the order of lines.
    """

    path: Path
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """That of a SpaceError if there is an error, else 0: warnings let a grammar pass."""
        return SpaceError.exit_code if self._count(Level.ERROR) else 0

    @property
    def text(self) -> str:
        """One line per finding, `file:line: level [code] message`, and one to sum up."""
        lines = [self._line(finding) for finding in self.findings]
        counts = [self._spelled(level) for level in (Level.ERROR, Level.WARNING)]
        return "\n".join([*lines, f"{self.path.name}: {', '.join(counts)}"])

    def to_json(self) -> dict[str, JSON]:
        """Return the report as a JSON object."""
        findings: list[JSON] = [
            {"level": str(f.level), "line": f.line, "code": f.code, "message": f.message}
            for f in self.findings
        ]
        return {"path": str(self.path), "sound": self.exit_code == 0, "findings": findings}

    def _line(self, finding: Finding) -> str:
        where = f"{self.path.name}:{finding.line}" if finding.line else self.path.name
        return f"{where}: {finding.level} [{finding.code}] {finding.message}"

    def _count(self, level: Level) -> int:
        return sum(finding.level is level for finding in self.findings)

    def _spelled(self, level: Level) -> str:
        n = self._count(level)
        return f"{n or 'no'} {level}{'' if n == 1 else 's'}"


def check_report(path: Path | str) -> GrammarReport:
    """Read a grammar file and explain what is wrong with it.

    Never raises on account of the file: one that cannot be read is a finding.
    """
    return GrammarReport(Path(path), tuple(check_file(path)))
