"""Run records made readable: one page, and pages of claims; of the package only `record`."""
