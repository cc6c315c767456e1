"""Training on Lightning: losses, schedules, tasks that take objects, checkpoints and logs."""
