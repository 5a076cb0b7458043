"""Reports: what a run showed, as JSON by a versioned schema and as one self-contained page made from the JSON alone.

In a probe's worker `probe_to_json` turns verdict and evidence into plain types; the controller puts all records
together with `build_document`, writes them with `write_report` and shows them with `write_page`. `read_report` gives
the document back to the gate.
"""
