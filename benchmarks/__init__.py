"""`make bench`: our stages and TRL's in turn on the same task, growth, and the floor that the machine sets."""
