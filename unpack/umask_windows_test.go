package unpack_test

func umask(int) int { return 0 }
