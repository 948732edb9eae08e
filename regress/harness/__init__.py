"""What whole-program tests share: the daemon, scripted peers, clients."""
