"""All lowerings: ONNX operator -> the function that adds our operators for it."""

from collections.abc import Callable, Mapping

from refquant.model.importers.onnx_dynamic import DYNAMIC
from refquant.model.importers.onnx_lower_elementwise import ELEMENTWISE
from refquant.model.importers.onnx_lower_layout import LAYOUT
from refquant.model.importers.onnx_lower_logic import LOGIC
from refquant.model.importers.onnx_lower_normal import NORMAL
from refquant.model.importers.onnx_lower_places import PLACES
from refquant.model.importers.onnx_lower_products import PRODUCTS
from refquant.model.importers.onnx_lower_recurrent import RECURRENT
from refquant.model.importers.onnx_lower_resize import RESIZE
from refquant.model.importers.onnx_lower_sequence import SEQUENCE
from refquant.model.importers.onnx_lower_windows import WINDOWS
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_qdq import QDQ
from refquant.model.importers.onnx_qoperator import QOPERATOR
from refquant.model.importers.onnx_scope import Scope

__all__ = ["LOWER"]

LOWER: Mapping[str, Callable[[Scope, OnnxNode], None]] = {
    **ELEMENTWISE,
    **LOGIC,
    **LAYOUT,
    **PLACES,
    **RESIZE,
    **WINDOWS,
    **PRODUCTS,
    **NORMAL,
    **RECURRENT,
    **SEQUENCE,
    **QDQ,
    **QOPERATOR,
    **DYNAMIC,
}
