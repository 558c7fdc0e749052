"""One offline HTML page that shows what a study found, and why."""

from niwaki.report.data import ReportData
from niwaki.report.page import build_report

__all__ = ["ReportData", "build_report"]
