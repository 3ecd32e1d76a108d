"""The benchmark: a grid of models, tasks, leads, protocols and label budgets, judged, compared and collated.

`grid` runs it: each cell of the grid (`cell`) is one `openclef.evaluate` of a competitor (`competitor`) on the stores
that declare a task (`sources`), kept in a folder and skipped on the next run. What stands in the tables (`tables`) is
computed from the cells' files: `contents` (metrics, labels, calibration), `comparisons`, `averages`, `ranks`.
"""
