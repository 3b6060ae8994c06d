"""Side-by-side measurements: one workload, one data set, our worker and its bounds, each run in a fresh process."""
