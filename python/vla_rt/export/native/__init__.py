"""Compiler of the native engine: the stages of a network as a plan over static memory."""

from vla_rt.export.native.compiler import check_step, compile_stages, open_network, save
from vla_rt.export.native.plan import PLAN_FILE, WEIGHTS_FILE
from vla_rt.export.native.stage import Unsupported

__all__ = ["PLAN_FILE", "WEIGHTS_FILE", "Unsupported", "check_step", "compile_stages", "open_network", "save"]
