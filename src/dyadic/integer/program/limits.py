"""The bound of every number in a program, so that nothing an engine computes from it overflows.

C indexes rows and columns in 32 bits: a place is at most `n + 2 padding + dilation * kernel`, which
`ELEMENTS` and `GEOMETRY` keep below 2^31. Memory and work are bounded too: a file of some hundred
bytes cannot ask for gigabytes or for hours.
"""

INT64 = 2**63

GEOMETRY = 2**15  # a stride, kernel, dilation, padding or repetition
ELEMENTS = 2**29  # of all tensors of one image together, padding included; and of all weights
WORK = 2**40  # multiplications, comparisons and the like for one image
OPERATIONS = 2**12
TABLE = 2**8  # entries of a look-up table
SHIFT = 62  # c of a dyadic number

NAME_LETTERS = 200
TEXT_LETTERS = 2000
TUPLE = 2**16  # entries of a list of names or of a shape
JSON_BYTES, WEIGHT_BYTES = 2**26, 2**30
