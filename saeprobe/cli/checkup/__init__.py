"""What `saeprobe doctor` finds out: the surroundings, how fast they are, and what each subject takes in them."""
