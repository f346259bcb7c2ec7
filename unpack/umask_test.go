//go:build unix

package unpack_test

import "syscall"

func umask(mask int) int { return syscall.Umask(mask) }
