"""The bench: Towpath, uvicorn and Daphne under the same load, in one run. `python -m benchmarks.run --help`."""
