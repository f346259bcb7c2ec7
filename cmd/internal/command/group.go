package command

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
)

func groupFlag(usage string) cli.Flag { return Text("group", usage) }

// newGroupFlag returns the flag --group of a command that makes a mirror.
func newGroupFlag() cli.Flag {
	return groupFlag("`NAME` of the group that may read the state of a mirror that is made now: status, check, history, trust list; nobody but the owner without it")
}

// groupOf returns the number of the group that --group names; 0: it was not given.
func groupOf(c *cli.Context) (int, error) {
	name := c.String("group")
	if name == "" {
		return 0, nil
	}
	id := name
	if _, err := strconv.ParseUint(name, 10, 31); err != nil {
		group, err := user.LookupGroup(name)
		if err != nil {
			return 0, &UsageError{fmt.Sprintf("group %q: not a group of this machine", name), "groupadd NAME makes one; usermod -aG NAME USER adds a reader"}
		}
		id = group.Gid
	}
	n, err := strconv.ParseUint(id, 10, 31)
	if err != nil || n == 0 {
		return 0, &UsageError{fmt.Sprintf("group %q: is no group for readers", name), "name another group than that of root"}
	}
	return int(n), nil
}

// createMirror opens a mirror, or makes it for the group that --group names.
func createMirror(c *cli.Context, o *Output, dir string, p bundle.Progress) (*unpack.Mirror, error) {
	options := mirrorOptions(c, o, p)
	var err error
	if options.Group, err = groupOf(c); err != nil {
		return nil, err
	}
	m, err := unpack.Create(dir, options)
	var other *unpack.OtherGroupError
	if errors.As(err, &other) {
		return nil, &UsageError{err.Error(), fmt.Sprintf("--group is for a mirror that is made now; for this one: gapbundle config %s --group %s", dir, c.String("group"))}
	}
	return m, err
}

// setGroup runs config --group.
func setGroup(c *cli.Context, o *Output, m *unpack.Mirror) error {
	group, err := groupOf(c)
	if err != nil {
		return err
	}
	done := "group " + c.String("group") + " may read the state"
	if err := unpack.SetGroup(c.Context, m, group, done); err != nil {
		return err
	}
	showChange(c, o, done)
	return nil
}
