"""Shapes stand in annotations, as `Float[ndarray, "rows d_in"]`: jaxtyping's names, which cost nothing in a run."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt64
else:
    from typing import Annotated

    Bool = Float = Int = UInt64 = Annotated

__all__ = ["Bool", "Float", "Int", "UInt64"]
