package unpack_test

import (
	"flag"
	"os"
	"testing"
)

// childEnv makes the test binary a program that the fault tests run.
const childEnv = "GAPBUNDLE_UNPACK_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	// A history is up to ten imports with all their syncs; ask for more by
	// -rapid.checks.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
