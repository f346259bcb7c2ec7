package unpack_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/gapbundle/gapbundle/unpack"
)

// child does what its arguments say to a mirror: "import MIRROR PATH",
// "rollback MIRROR" or "gc MIRROR". Its clock stands still, so that what it
// publishes is the same whenever it runs.
func child() int {
	at, err := time.Parse(time.RFC3339, os.Getenv(childEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if os.Args[1] == "rebuild" {
		if _, err = unpack.RebuildState(context.Background(), os.Args[2], unpack.Options{Now: func() time.Time { return at }, Tool: "test"}); err == nil {
			return 0
		}
		fmt.Fprintln(os.Stderr, err)
		return 6
	}
	m, err := unpack.Open(os.Args[2], unpack.Options{Jobs: 1, Now: func() time.Time { return at }, Tool: "test"})
	if err == nil {
		err = errors.Join(act(m), m.Close())
	}
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		fmt.Fprintln(os.Stderr, err)
		return 6
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func act(m *unpack.Mirror) (err error) {
	ctx := context.Background()
	switch os.Args[1] {
	case "import":
		_, err = m.Receive(ctx, os.Args[3:], unpack.ImportOptions{BaseURL: "http://mirror.lan"})
	case "repair":
		_, err = unpack.Repair(ctx, m, os.Args[3:])
	case "rollback":
		_, err = m.Rollback(ctx, unpack.RollbackOptions{To: 1})
	case "gc":
		_, err = m.GC(ctx, unpack.GCOptions{Keep: 1, Force: true})
	}
	return err
}
