# make -C tb INPUT=input_0.txt OUTPUT=output_0.txt LAYOUT=layout.toml (paths from / or from tb/)
PYTHON ?= python3
.PHONY: test
test:
	$(PYTHON) run_patterns.py --input $(INPUT) --output $(OUTPUT) --layout $(LAYOUT)
