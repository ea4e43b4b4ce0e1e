"""What ``pytest --pyargs refquant_conformance --rq-backend=NAME`` collects."""
