"""What each sub-command of ``tessella`` does: ``run(options)`` in the module of its name."""
