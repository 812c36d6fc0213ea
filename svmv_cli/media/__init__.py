"""Files and time: PyAV lives here and only here. Knows no torch."""
