"""Column expressions: `Flight.delay > 15`, built by the class attributes of a `Record`, run on rows or on columns.

An expression means what the same Python would mean on each row, with these rules:

- None propagates: comparison, arithmetic and functions with a None give None (`.is_null()` asks for it). A field of a
  value that is None is None, and so is a key that an untyped dict lacks. A filter drops None as it drops False.
- `&`, `|` and `~` combine conditions (True, False, None) by SQL's three-valued logic: `False & None` is False,
  `True | None` is True, all else with None is None. The right side is not looked at where the left one decides,
  as with `and` and `or`.
- `when(condition, a, b)` takes `b` where the condition is False or None, and looks at the taken side only.
- An integer that leaves 64 bits stays exact; division by zero raises, and then the error policy decides.

`tree` holds the inert formula, `rows` compiles it to a Python function, `columns` runs it on arrays. The row form is
the reference: the column form gives the same values or raises `NeedsRows`.
"""

from streams.errors import NeedsRows
from streams.expressions.making import Making, coalesce, record
from streams.expressions.tree import Expression, Field, col, when

__all__ = ["Expression", "Field", "Making", "NeedsRows", "coalesce", "col", "record", "when"]
