"""The rules of the score: plain values in, plain values out. No I/O, no clock, no broker, no database.

`window.window_state` judges one window, `rollup` an industry and the city, `rebuild.rebuild` everything
from all facts.
"""
