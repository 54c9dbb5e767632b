"""The engine: the only place that knows torch. Importing it switches telemetry and hub access off unless the user asked."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a hub name needs HF_HUB_OFFLINE=0: no request to another host unasked
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
