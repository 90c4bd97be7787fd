"""The vendors that the sandbox plays: one module or package each, which declares a ``VENDOR``."""
