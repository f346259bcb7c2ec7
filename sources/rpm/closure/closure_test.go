package closure_test

import (
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/closure"
)

func TestDebug(t *testing.T) {
	x := parse(`
		p007-2-1; provides: cap1
		p007-3-1
		p156-2-1; requires: cap1 >= 2
		p192-1-1
		p192-2-1; provides: cap1 = 3-1
	`)
	t.Log(ids(mustSelect(t, []closure.Index{x}, ask("p156"))))
	x = parse(`
		p007-2-1; provides: cap1
		p007-3-1
		p014-1-1; requires: cap17; provides: cap1 = 4-1
		p014-2-1
		p156-2-1; requires: cap1 >= 2
		p192-1-1
		p192-2-1; provides: cap1 = 3-1
	`)
	t.Log(ids(mustSelect(t, []closure.Index{x}, ask("p156"))))
}
