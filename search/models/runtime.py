"""The one door to OpenVINO, which it enters without the part that reports each import to an analytics service."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["openvino", "openvino_converter"]

_REPORTER = "openvino_telemetry"
_CONVERTER = "openvino.tools.ovc"


def openvino() -> Any:
    """Return the module `openvino`, imported in such a way that it contacts nobody.

    Importing it as usual posts an event with a permanent client id, forks, and may delay the end of the process by
    seconds. Whatever imports the reporting package after this gets an ImportError, for which OpenVINO and NNCF have
    a substitute that does nothing. The converter of other formats, which does the reporting, is left out as well: it
    takes as long to import as all the rest.
    """
    if "openvino" not in sys.modules:
        _forbid_reports()
        sys.modules.setdefault(_CONVERTER, None)  # type: ignore[arg-type]
        try:
            import openvino  # noqa: F401
        finally:
            if sys.modules.get(_CONVERTER) is None:
                del sys.modules[_CONVERTER]
    return sys.modules["openvino"]


def openvino_converter() -> Any:
    """Return OpenVINO's `convert_model`, which turns a torch module into a graph; as silent as `openvino`."""
    _forbid_reports()
    module = openvino()
    from openvino.tools.ovc import convert_model

    # NNCF looks for it where the usual import puts it.
    module.convert_model = convert_model
    return convert_model


def _forbid_reports() -> None:
    if _REPORTER not in sys.modules:
        sys.modules[_REPORTER] = None  # type: ignore[assignment]
