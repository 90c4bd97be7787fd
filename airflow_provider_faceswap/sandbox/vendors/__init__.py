"""The vendors that the sandbox imitates: one package each, which declares a ``VENDOR``."""
