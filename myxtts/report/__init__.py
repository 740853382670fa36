"""The report page of a run, made from the plain files of its directory."""

from myxtts.report.page import write_report

__all__ = ["write_report"]
