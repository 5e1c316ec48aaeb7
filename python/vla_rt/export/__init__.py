"""Export of trained policies to policy packages. Importing this does not import torch; exporting does."""

from vla_rt.export.package import export_policy
from vla_rt.export.protocol import ExportablePolicy, ExportConfig, TokenPolicy

__all__ = ["ExportConfig", "ExportablePolicy", "TokenPolicy", "export_policy"]
