package main

import "testing"

// TestByteSize: what --volume-size takes, and what it refuses.
func TestByteSize(t *testing.T) {
	var size byteSize
	if err := size.Set("2MiB"); err != nil || size.String() != "2.0 MiB" {
		t.Errorf("2MiB: %s, %v", &size, err)
	}
	if err := size.Set("two"); err == nil {
		t.Error("two: not refused")
	}
}
